// report.html of a run's folder: what config.yaml, metrics.jsonl and samples/ hold, on one page.
import { existsSync, readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { replaceFile } from "../checkpoint/durable.js";
import { readMetrics, type MetricsRow } from "../train/metrics.js";
import { readOrigin } from "../train/origin.js";
import { readYaml, RunFolder } from "../train/run_folder.js";
import { html, type Content, type Html } from "./html.js";
import { metricCharts } from "./metric_charts.js";
import { originLines } from "./origin.js";
import { commandLine, facts, page, section } from "./page.js";
import { dataUri } from "./pictures.js";

// Grids on the page; of more, as many at even distances, the first and the last among them.
const mostGrids = 8;

function evenly<T>(all: readonly T[], most: number): T[] {
  if (all.length <= most) return [...all];
  return Array.from(
    { length: most },
    (_, i) => all[Math.round((i * (all.length - 1)) / (most - 1))]!,
  );
}

function sampleGrids(folder: string): Content {
  const names = existsSync(folder)
    ? readdirSync(folder).filter((name) => /^step-\d+\.png$/.test(name))
    : [];
  if (names.length === 0) return undefined;
  const grids = evenly(names.toSorted(), mostGrids).map((name) => {
    const step = Number(/\d+/.exec(name)![0]);
    const label = step === 0 ? "before the first update" : `after ${step} updates`;
    const address = dataUri(readFileSync(path.join(folder, name)));
    return html`<figure class="sheet">
      <img src="${address}" alt="samples ${label}" />
      <figcaption>${label}</figcaption>
    </figure>`;
  });
  return section(
    "Samples",
    html`<p>
        The same prompts and the same noise in every grid: what differs is what training changed.
      </p>
      <div class="samples">${grids}</div>`,
  );
}

const shown = (value: unknown): string =>
  typeof value === "string" ? value : (JSON.stringify(value) ?? "");

/** Every option of a run, folded away. */
export function settings(options: Readonly<Record<string, unknown>>): Html {
  const entries = Object.entries(options).map(([name, value]) => [name, shown(value)] as const);
  return html`<details>
    <summary>${entries.length} options</summary>
    ${facts(entries)}
  </details> `;
}

function lead(options: Readonly<Record<string, unknown>>, rows: readonly MetricsRow[]): string {
  const done = rows.at(-1)?.step ?? 0;
  const sum = (name: string) => rows.reduce((total, row) => total + (row[name] ?? 0), 0);
  const of = typeof options["steps"] === "number" ? ` of ${options["steps"]}` : "";
  const passes = `${sum("forwards")} forwards and ${sum("backwards")} backwards of a picture`;
  return (
    `${shown(options["method"])}, ${done}${of} updates, ${sum("seconds").toFixed(1)} seconds of training, ` +
    `${passes} through the transformer`
  );
}

/**
 * The page of a run, from its folder alone.
 *
 * @throws SrpoError ERR_CONFIG if its config.yaml cannot be read
 */
export function runReport(folder: string): string {
  const run = new RunFolder(folder);
  const options = readYaml(run.config);
  const rows = readMetrics(run.metrics);
  const origin = readOrigin(folder);
  const [evaluations, training] = [metricCharts(rows, "evaluation"), metricCharts(rows)];
  return page({
    title: path.basename(path.resolve(folder)),
    lead: lead(options, rows),
    body: [
      origin !== undefined && commandLine(origin.command),
      sampleGrids(run.samples),
      evaluations !== undefined && section("Evaluations", evaluations),
      training !== undefined && section("Training", training),
      section("Settings", settings(options)),
    ],
    foot: originLines(origin),
  });
}

/** Writes the page into the run's folder; returns its path. */
export async function writeRunReport(folder: string): Promise<string> {
  const file = path.join(folder, "report.html");
  const text = runReport(folder);
  await replaceFile(file, (sink) => sink.write(Buffer.from(text)));
  return file;
}
