// A plan as text.
import type { Nearest } from "./nearest.js";
import type { Plan } from "./plan.js";
import type { Links, RateKind } from "./rates.js";
import type { ScaleRow } from "./scale.js";

/** "23.80 GB", "61.4 MB": decimal, as kernels.md counts. */
export function size(bytes: number): string {
  if (bytes >= 1e9) return `${(bytes / 1e9).toFixed(2)} GB`;
  return bytes >= 1e6 ? `${(bytes / 1e6).toFixed(1)} MB` : `${(bytes / 1e3).toFixed(1)} kB`;
}

/** "1.72 s", "3.1 min", "12.4 h". */
export function duration(seconds: number): string {
  if (seconds < 1) return `${(seconds * 1000).toPrecision(3)} ms`;
  if (seconds < 120) return `${seconds.toFixed(2)} s`;
  return seconds < 7200 ? `${(seconds / 60).toFixed(1)} min` : `${(seconds / 3600).toFixed(1)} h`;
}

const says: Readonly<Record<RateKind, string>> = {
  measured: "by rates measured with this package",
  estimate: "an estimate, by others' published rates; our kernels have not run on this card",
  vendor: "the limit by the vendor's data sheet, which no program reaches",
};

function memoryLines({ parts, bytes, capacity, capacitySource, fits }: Plan): string[] {
  const wide = Math.max(...parts.map(({ name }) => name.length), 20);
  const line = (name: string, amount: number, note = "") =>
    `  ${name.padEnd(wide)} ${size(amount).padStart(10)}  ${note}`.trimEnd();
  return [
    ...parts.map(({ name, bytes: amount, note }) => line(name, amount, note)),
    line("together", bytes, fits ? "fits" : `does not fit: ${size(bytes - capacity)} too much`),
    line("a device has", capacity, capacitySource),
  ];
}

function timeLines({ times }: Plan, steps: number): string[] {
  if (times.length === 0)
    return ["time: no rate is known of this device at this precision, so nothing is said of it"];
  return times.flatMap(({ kind, source, stages, seconds, hidden }) => [
    `time of an update: ${duration(seconds)} (${steps} updates ${duration(steps * seconds)}), ${says[kind]}`,
    `  rates: ${source}`,
    ...stages.map((stage) => `  ${stage.name.padEnd(36)} ${duration(stage.seconds).padStart(10)}`),
    ...(hidden > 0 ? [`  between ranks, under other work: ${duration(hidden)}`] : []),
  ]);
}

function betweenLines({ between }: Plan): string[] {
  if (between === undefined) return [];
  const { traffic, seconds, links } = between;
  const by = links.kind === "measured" ? "by rates measured with this package" : "predicted";
  return [
    `between ranks, an update and rank: ${size(traffic.reduced)} reduce-scattered, ${size(traffic.gathered)} gathered`,
    seconds.ring < Infinity
      ? `  ${by}: ring ${duration(seconds.ring)}, hierarchical ${duration(seconds.hierarchical)}`
      : "  nothing is known of how long it takes between these machines",
    `  rates: ${links.source}`,
  ];
}

/** The same run on more and more devices. */
export function scaleLines(
  rows: readonly ScaleRow[],
  { name: card, links }: { name: string; links: Links },
): string[] {
  const head = ["ranks", "nodes", "prompts", "memory", "reduced", "gathered", "ring", "hierarchical", "shown", "update", "rest"]; // prettier-ignore
  const table = rows.map((row) => [
    String(row.ranks),
    String(row.nodes),
    String(row.batch),
    `${size(row.memory)}${row.fits ? "" : " !"}`,
    row.ranks === 1 ? "-" : size(row.traffic.reduced),
    row.ranks === 1 ? "-" : size(row.traffic.gathered),
    row.ranks === 1 ? "-" : duration(row.between.ring),
    row.ranks === 1 ? "-" : duration(row.between.hierarchical),
    row.ranks === 1 ? "-" : row.shown === undefined ? "?" : duration(row.shown),
    row.update === undefined ? "?" : duration(row.update),
    row.efficiency === undefined ? "?" : `${(100 * row.efficiency).toFixed(1)} %`,
  ]);
  const wide = head.map((name, i) => Math.max(name.length, ...table.map((row) => row[i]!.length)));
  const line = (row: readonly string[]) => row.map((cell, i) => cell.padStart(wide[i]!)).join("  ");
  return [
    links.kind === "measured"
      ? `predicted, on ${card}s, from rates measured with this package`
      : `predicted, on ${card}s; nothing of it has been measured`,
    line(head),
    ...table.map(line),
    "prompts: of an update, at least one a rank; memory: of a device, ! where it does not fit; reduced, gathered:",
    "bytes of gradients and of weights a rank and update; shown: what of their time no forward and no backward hides;",
    "rest: what is left of the update's time",
    `rates: ${links.source}`,
  ];
}

function nearestLines(title: string, { changes, plan }: Nearest): string[] {
  return [`${title}: ${changes.join(", ")} (${size(plan.bytes)} of ${size(plan.capacity)})`];
}

/** The plan as lines for people. */
export function planLines(
  plan: Plan,
  steps: number,
  nearest?: { today: Nearest | undefined; later: Nearest | undefined },
): string[] {
  const devices = plan.ranks === 1 ? `one ${plan.card}` : `${plan.ranks} x ${plan.card}`;
  return [
    `${plan.models} on ${devices}; memory of each:`,
    ...memoryLines(plan),
    ...(nearest?.today ? nearestLines("nearest setting that fits", nearest.today) : []),
    ...(nearest?.later
      ? nearestLines("nothing that this version has makes it fit; what would", nearest.later)
      : []),
    ...(nearest !== undefined && !nearest.today && !nearest.later
      ? ["no setting that this plan knows makes it fit"]
      : []),
    ...timeLines(plan, steps),
    ...betweenLines(plan),
    ...plan.missing.map((what) => `not in this version: ${what}`),
    ...plan.untried.map((what) => `has never run on hardware: ${what}`),
  ];
}
