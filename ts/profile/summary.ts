// What a profile comes to: the ops that took longest, the stages, and how much of the time was work.
import type { Taken } from "./profiler.js";
import { spanOf } from "./trace.js";

export interface OpRow {
  /** A function of the binding: "linearForward"; for what no call asked for the op itself. */
  name: string;
  calls: number;
  microseconds: number;
  /** Of all work. */
  share: number;
  /** Where the operations are known. */
  gflops?: number;
  /** Bytes that must move at least, a second. */
  gigabytesPerSecond?: number;
}

export interface StageRow {
  name: string;
  depth: number;
  times: number;
  /** Work within it. */
  microseconds: number;
}

export interface Summary {
  wall: number;
  /** Microseconds in which the device worked. */
  busy: number;
  /** busy / wall. */
  covered: number;
  ops: OpRow[];
  stages: StageRow[];
}

/** Adds up; the ops in falling order of time. */
export function summaryOf(taken: Taken): Summary {
  const { pieces, calls, stages, wall } = taken;
  const took = pieces.map(({ begin, end }) => (Number.isNaN(end) ? 0 : end - begin));
  const upTo = [0];
  for (const time of took) upTo.push(upTo.at(-1)! + time);
  const busy = upTo.at(-1)!;
  const rows = new Map<string, { calls: number; time: number; flops: number; bytes: number }>();
  const add = (name: string, time: number, flops: number, bytes: number): void => {
    const row = rows.get(name) ?? { calls: 0, time: 0, flops: 0, bytes: 0 };
    row.calls += 1;
    row.time += time;
    row.flops += flops;
    row.bytes += bytes;
    rows.set(name, row);
  };
  const claimed = new Set<number>();
  for (const { name, from, to, flops, bytes } of calls) {
    for (let i = from; i < to; ++i) claimed.add(i);
    add(name, upTo[to]! - upTo[from]!, flops ?? 0, bytes);
  }
  pieces.forEach(({ op }, i) => {
    if (!claimed.has(i)) add(op, took[i]!, 0, 0);
  });
  const ops = [...rows].map(([name, { calls, time, flops, bytes }]): OpRow => {
    const seconds = time / 1e6;
    return {
      name,
      calls,
      microseconds: time,
      share: busy === 0 ? 0 : time / busy,
      ...(flops > 0 && seconds > 0 ? { gflops: flops / seconds / 1e9 } : {}),
      ...(bytes > 0 && seconds > 0 ? { gigabytesPerSecond: bytes / seconds / 1e9 } : {}),
    };
  });
  return {
    wall,
    busy,
    covered: wall === 0 ? 0 : busy / wall,
    ops: ops.toSorted((a, b) => b.microseconds - a.microseconds),
    stages: stageRows(stages, upTo, (from, to) => spanOf(taken, from, to) !== undefined),
  };
}

/** Stages of one name under one parent as one row, numbers in names left out ("double_blocks.*"). */
function stageRows(
  stages: Taken["stages"],
  upTo: readonly number[],
  ran: (from: number, to: number) => boolean,
): StageRow[] {
  const rows = new Map<string, StageRow>();
  const path: string[] = [];
  for (const { name, depth, from, to } of stages) {
    path.length = depth;
    path.push(name.replaceAll(/\d+/g, "*"));
    if (!ran(from, to)) continue;
    const key = path.join("\n");
    const row = rows.get(key) ?? { name: path.at(-1)!, depth, times: 0, microseconds: 0 };
    row.times += 1;
    row.microseconds += upTo[to]! - upTo[from]!;
    rows.set(key, row);
  }
  // A row's children stand beneath it, whenever they came first.
  const places = new Map([...rows.keys()].map((key, place) => [key, place]));
  return [...rows].toSorted(([a], [b]) => order(places, a, b)).map(([, row]) => row);
}

function order(places: ReadonlyMap<string, number>, a: string, b: string): number {
  const [x, y] = [a.split("\n"), b.split("\n")];
  for (let n = 1; n <= Math.min(x.length, y.length); ++n) {
    const [left, right] = [x.slice(0, n).join("\n"), y.slice(0, n).join("\n")];
    if (left !== right) return (places.get(left) ?? -1) - (places.get(right) ?? -1);
  }
  return x.length - y.length;
}

const milliseconds = (us: number): string => `${(us / 1000).toFixed(us < 100_000 ? 2 : 1)} ms`;

/** The `most` ops that took longest and the stages down to `depth`, as lines to read. */
export function linesOf(
  { ops, stages, wall, busy, covered }: Summary,
  { most, depth }: { most: number; depth: number },
): string[] {
  const percent = (share: number) => `${(100 * share).toFixed(1)} %`;
  const lines = [
    `${"op".padEnd(32)} ${"calls".padStart(7)} ${"time".padStart(11)} ${"share".padStart(7)}`,
    ...ops
      .slice(0, most)
      .map(({ name, calls, microseconds, share, gflops, ...row }) =>
        [
          name.padEnd(32),
          String(calls).padStart(7),
          milliseconds(microseconds).padStart(11),
          percent(share).padStart(7),
          gflops === undefined
            ? row.gigabytesPerSecond === undefined
              ? ""
              : `${row.gigabytesPerSecond.toFixed(1)} GB/s`.padStart(14)
            : `${gflops.toFixed(1)} GFLOP/s`.padStart(14),
        ]
          .join(" ")
          .trimEnd(),
      ),
    ...(ops.length > most ? [`and ${ops.length - most} more`] : []),
    "",
    ...stages
      .filter((stage) => stage.depth < depth)
      .map(
        ({ name, depth, times, microseconds }) =>
          `${"  ".repeat(depth)}${name}`.padEnd(40) +
          `${String(times).padStart(6)} x ${milliseconds(microseconds).padStart(11)} ${percent(busy === 0 ? 0 : microseconds / busy).padStart(7)}`,
      ),
    "",
    `the device worked ${milliseconds(busy)} of ${milliseconds(wall)}: ${percent(covered)} of the time`,
  ];
  return lines;
}
