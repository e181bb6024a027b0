import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { parse, stringify } from "yaml";
import { latestComplete } from "../checkpoint/folder.js";
import { codeOf, SrpoError } from "../native/error.js";
import type { TrainConfig } from "./config.js";

/**
 * A run's folder: config.yaml (resolved), metrics.jsonl, TensorBoard events, samples/ and
 * checkpoints/step-NNNNNN/.
 */
export class RunFolder {
  constructor(readonly path: string) {}

  get config(): string {
    return path.join(this.path, "config.yaml");
  }
  get metrics(): string {
    return path.join(this.path, "metrics.jsonl");
  }
  get samples(): string {
    return path.join(this.path, "samples");
  }
  get checkpoints(): string {
    return path.join(this.path, "checkpoints");
  }

  /**
   * Makes a new run's folder.
   *
   * @throws SrpoError ERR_CONFIG if there is a run in it, or it cannot be written
   */
  static create(place: string, config: TrainConfig): RunFolder {
    const run = new RunFolder(path.resolve(place));
    if (existsSync(run.path) && readFolder(run.path).length > 0)
      throw new SrpoError(
        "ERR_CONFIG",
        `out: expected a new or empty folder, got ${run.path} with files in it; ` +
          `go on with it by --resume ${place}, or name another`,
      );
    run.#writable(() => {
      mkdirSync(run.samples, { recursive: true });
      mkdirSync(run.checkpoints, { recursive: true });
      writeFileSync(run.config, stringify(config));
    });
    return run;
  }

  #writable(write: () => void): void {
    try {
      write();
    } catch (error) {
      throw new SrpoError(
        "ERR_CONFIG",
        `out: expected a folder to write to at ${this.path}, got ${codeOf(error) ?? String(error)}`,
        { cause: error },
      );
    }
  }
}

function readFolder(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch (error) {
    throw new SrpoError(
      "ERR_CONFIG",
      `out: expected a folder at ${folder}, got ${codeOf(error) ?? String(error)}`,
      { cause: error },
    );
  }
}

/** Where a run goes on: its folder, its options and its checkpoint. */
export interface Resumed {
  run: RunFolder;
  checkpoint: string;
  options: Readonly<Record<string, unknown>>;
}

/**
 * Finds what to resume: a run's folder (its newest complete checkpoint), or one checkpoint of it.
 *
 * @throws SrpoError ERR_CONFIG if there is no run, ERR_CHECKPOINT if it has no complete checkpoint
 */
export async function findResumed(place: string): Promise<Resumed> {
  const full = path.resolve(place);
  const isCheckpoint = /^step-\d+$/.test(path.basename(full));
  const run = new RunFolder(isCheckpoint ? path.dirname(path.dirname(full)) : full);
  if (!existsSync(run.config))
    throw new SrpoError(
      "ERR_CONFIG",
      `resume: expected a run's folder or a checkpoint in one, got ${full} without config.yaml`,
    );
  const checkpoint = isCheckpoint ? full : (await latestComplete(run.checkpoints))?.path;
  if (checkpoint === undefined || !existsSync(checkpoint))
    throw new SrpoError(
      "ERR_CHECKPOINT",
      `resume: expected a complete checkpoint in ${run.checkpoints}, got none; start the run anew`,
    );
  return { run, checkpoint, options: readYaml(run.config) };
}

/**
 * Reads a YAML file of options.
 *
 * @throws SrpoError ERR_CONFIG with file, line and column
 */
export function readYaml(file: string): Readonly<Record<string, unknown>> {
  let value: unknown;
  try {
    value = parse(readFileSync(file, "utf8"));
  } catch (error) {
    const message = error instanceof Error ? error.message.split("\n")[0] : String(error);
    throw new SrpoError("ERR_CONFIG", `${file}: expected YAML, got ${message}`, { cause: error });
  }
  if (value === null || value === undefined) return {};
  if (typeof value !== "object" || Array.isArray(value))
    throw new SrpoError("ERR_CONFIG", `${file}: expected options, NAME: VALUE, got another form`);
  return value as Record<string, unknown>;
}
