import { appendFileSync, readFileSync, truncateSync } from "node:fs";
import { existsSync } from "node:fs";
import { EventFile } from "./tensorboard.js";

/** One line of metrics.jsonl. */
export type MetricsRow = { step: number } & Readonly<Record<string, number>>;

/**
 * Writes a run's numbers twice: metrics.jsonl, a JSON object a step, and TensorBoard events. Each row is
 * appended at once, so a crash loses none.
 */
export class MetricsLog {
  readonly #file: string;
  readonly #events: EventFile;

  constructor(file: string, eventsFolder: string) {
    this.#file = file;
    this.#events = new EventFile(eventsFolder);
  }

  write(row: MetricsRow): void {
    appendFileSync(this.#file, `${JSON.stringify(row)}\n`);
    const { step, ...values } = row;
    this.#events.scalars(step, values);
  }

  picture(step: number, tag: string, width: number, height: number, png: Uint8Array): void {
    this.#events.picture(step, tag, width, height, png);
  }
}

/** The rows of a metrics.jsonl; a last line that a crash cut short is left out. */
export function readMetrics(file: string): MetricsRow[] {
  if (!existsSync(file)) return [];
  const rows: MetricsRow[] = [];
  for (const line of readFileSync(file, "utf8").split("\n")) {
    if (line === "") continue;
    try {
      rows.push(JSON.parse(line) as MetricsRow);
    } catch {
      break;
    }
  }
  return rows;
}

/** Drops the rows after `step`: a run that is resumed from there writes them again. */
export function dropMetricsAfter(file: string, step: number): void {
  if (!existsSync(file)) return;
  const kept = readMetrics(file)
    .filter((row) => row.step <= step)
    .map((row) => `${JSON.stringify(row)}\n`)
    .join("");
  truncateSync(file, 0);
  appendFileSync(file, kept);
}
