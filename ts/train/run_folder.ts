import {
  accessSync,
  constants,
  existsSync,
  readdirSync,
  readFileSync,
  realpathSync,
  statSync,
} from "node:fs";
import path from "node:path";
import { parse, stringify } from "yaml";
import { makeFolder, replaceFile } from "../checkpoint/durable.js";
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

  /** Whether there is a run at a place. */
  static isRun(place: string): boolean {
    return existsSync(new RunFolder(path.resolve(place)).config);
  }

  /**
   * The folder of a new run, which `create` makes.
   *
   * @throws SrpoError ERR_CONFIG if there is a run in it already, or it cannot be one
   */
  static planned(place: string): RunFolder {
    const run = new RunFolder(path.resolve(place));
    const names = run.#reachable(() => (existsSync(run.path) ? readdirSync(run.path) : []));
    if (names.length > 0)
      throw new SrpoError(
        "ERR_CONFIG",
        `out: expected a new or empty folder, got ${run.path} with files in it; ` +
          `go on with it by --resume ${place}, or name another`,
      );
    let above = run.path;
    while (!existsSync(above)) above = path.dirname(above);
    run.#reachable(() => {
      if (!statSync(above).isDirectory()) throw new Error(`a file, ${above}`);
      accessSync(above, constants.W_OK);
    });
    return run;
  }

  /**
   * Makes the folder, its config first: killed at any instant, what is there can be resumed. A run that goes
   * on has its config written anew.
   */
  async create(config: TrainConfig): Promise<void> {
    await this.#made(this.path);
    const options = { ...config, resume: undefined };
    await replaceFile(this.config, (sink) => sink.write(Buffer.from(stringify(options))));
    await this.#made(this.samples);
    await this.#made(this.checkpoints);
  }

  async #made(folder: string): Promise<void> {
    await makeFolder(folder).catch((error: unknown) => {
      const got = error instanceof Error ? error.message : String(error);
      throw new SrpoError("ERR_CONFIG", `out: ${got}`, { cause: error });
    });
  }

  #reachable<T>(use: () => T): T {
    try {
      return use();
    } catch (error) {
      const got = codeOf(error) ?? (error instanceof Error ? error.message : String(error));
      throw new SrpoError(
        "ERR_CONFIG",
        `out: expected a folder to write to at ${this.path}, got ${got}`,
        { cause: error },
      );
    }
  }
}

/** Where a run goes on: its folder, its options and its checkpoint. */
export interface Resumed {
  run: RunFolder;
  /** Undefined for a run that was stopped before its first one: it begins again. */
  checkpoint: string | undefined;
  options: Readonly<Record<string, unknown>>;
}

/**
 * Finds what to resume: a run's folder (its newest complete checkpoint), or one checkpoint of it.
 *
 * @throws SrpoError ERR_CONFIG if there is no run, ERR_CHECKPOINT if the checkpoint is not there
 */
export async function findResumed(place: string): Promise<Resumed> {
  const named = path.resolve(place);
  // checkpoints/best is another name of a step's.
  const full = path.basename(named) === "best" && existsSync(named) ? realpathSync(named) : named;
  const isCheckpoint = /^step-\d+$/.test(path.basename(full));
  const run = new RunFolder(isCheckpoint ? path.dirname(path.dirname(full)) : full);
  if (!existsSync(run.config))
    throw new SrpoError(
      "ERR_CONFIG",
      `resume: expected a run's folder or a checkpoint in one, got ${full} without config.yaml`,
    );
  const checkpoint = isCheckpoint ? full : (await latestComplete(run.checkpoints))?.path;
  if (checkpoint !== undefined && !existsSync(checkpoint))
    throw new SrpoError("ERR_CHECKPOINT", `resume: expected a checkpoint, got none at ${full}`);
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
    const [line] = (error instanceof Error ? error.message : String(error)).split("\n");
    const message = line?.replace(/:$/, "");
    throw new SrpoError("ERR_CONFIG", `${file}: expected YAML, got ${message}`, { cause: error });
  }
  if (value === null || value === undefined) return {};
  if (typeof value !== "object" || Array.isArray(value))
    throw new SrpoError("ERR_CONFIG", `${file}: expected options, NAME: VALUE, got another form`);
  return value as Record<string, unknown>;
}
