import { appendFileSync, existsSync, readFileSync } from "node:fs";
import { replaceFile, writeError } from "../checkpoint/durable.js";
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

  private constructor(file: string, events: EventFile) {
    this.#file = file;
    this.#events = events;
  }

  /**
   * @param step - after which the run goes on: rows and events beyond it are dropped, the run will write
   *   them again
   * @param known - whether a row before it stays; one that is dropped is written again too
   */
  static async open(
    file: string,
    eventsFolder: string,
    step: number,
    known: (row: MetricsRow) => boolean = () => true,
  ): Promise<MetricsLog> {
    await keepMetrics(file, (row) => row.step <= step && known(row));
    return new MetricsLog(file, new EventFile(eventsFolder, step));
  }

  write(row: MetricsRow): void {
    try {
      appendFileSync(this.#file, `${JSON.stringify(row)}\n`);
    } catch (error) {
      throw writeError(this.#file, error);
    }
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

async function keepMetrics(file: string, keep: (row: MetricsRow) => boolean): Promise<void> {
  if (!existsSync(file)) return;
  const kept = readMetrics(file)
    .filter(keep)
    .map((row) => `${JSON.stringify(row)}\n`)
    .join("");
  if (kept !== readFileSync(file, "utf8"))
    await replaceFile(file, (sink) => sink.write(Buffer.from(kept)));
}
