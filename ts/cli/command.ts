import type { Schema, Source, Values } from "../train/schema.js";

/** What a command's `run` gets beside its options. */
export interface CommandContext {
  /** Arguments that are no flags, in order. */
  positional: readonly string[];
  /** The flags that were given, before any default. */
  flags: Source;
  /** Aborted by the first Ctrl-C of a command that `stops`. */
  signal: AbortSignal;
}

export interface Command<T extends Schema = Schema> {
  name: string;
  /** Names of arguments that are no flags, for help: "[config]". */
  positional?: string;
  summary: string;
  schema: T;
  examples: readonly (readonly [line: string, does: string])[];
  /**
   * Whether the options are checked by the command itself, because other sources (a YAML file, a preset)
   * stand between defaults and flags.
   */
  resolvesItself?: boolean;
  /** Whether it listens to its signal and ends in its own good time; others end at the first Ctrl-C. */
  stops?: boolean;
  /** Results go to stdout, progress and warnings to stderr. Returns the exit code. */
  run(values: Values<T>, context: CommandContext): Promise<number>;
}

/** Keeps a command's option types. */
export function command<const T extends Schema>(c: Command<T>): Command {
  return c;
}
