// One table of options feeds flags, YAML, --help and the checks: each command states its options once.
import { SrpoError } from "../native/error.js";

interface Common {
  /** One line for --help; its unit and its source where it has them. */
  help: string;
  group?: string;
}
export type OptionSpec = Common &
  (
    | { type: "number"; default?: number; min?: number; max?: number; integer?: boolean }
    | { type: "boolean"; default?: boolean }
    | {
        type: "text";
        default?: string;
        choices?: readonly string[];
        /** What the text must look like, and how messages say it. */
        pattern?: { form: RegExp; says: string };
        /** Whether it names a file or a folder. */
        path?: boolean;
      }
    /** A 64-bit whole number, kept as text: YAML and JSON numbers lose digits past 2^53. */
    | { type: "seed"; default?: string }
    | { type: "numbers"; default?: readonly number[]; length?: number }
    | { type: "texts"; default?: readonly string[] }
  );

export type Schema = Readonly<Record<string, OptionSpec>>;

type ValueOf<S extends OptionSpec> = S["type"] extends "number"
  ? number
  : S["type"] extends "boolean"
    ? boolean
    : S["type"] extends "numbers"
      ? readonly number[]
      : S["type"] extends "texts"
        ? readonly string[]
        : S extends { choices: readonly (infer C extends string)[] }
          ? C
          : string;

/** The values that a table describes; an option without a default may be undefined. */
export type Values<T extends Schema> = {
  -readonly [K in keyof T]: T[K] extends { default: unknown }
    ? ValueOf<T[K]>
    : ValueOf<T[K]> | undefined;
};

/** `rolloutSteps` as a flag: `rollout-steps`. */
export function flagOf(name: string): string {
  return name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

function show(value: unknown): string {
  return JSON.stringify(value) ?? String(value);
}

function describe(spec: OptionSpec): string {
  switch (spec.type) {
    case "number": {
      const kind = spec.integer === true ? "a whole number" : "a number";
      if (spec.min !== undefined && spec.max !== undefined)
        return `${kind} from ${spec.min} to ${spec.max}`;
      if (spec.min !== undefined) return `${kind}, ${spec.min} or more`;
      return spec.max === undefined ? kind : `${kind}, at most ${spec.max}`;
    }
    case "boolean":
      return "true or false";
    case "text":
      if (spec.pattern !== undefined) return spec.pattern.says;
      return spec.choices === undefined ? "text" : `one of ${spec.choices.join(", ")}`;
    case "seed":
      return "a whole number from 0 to 2^64 - 1";
    case "numbers":
      return spec.length === undefined ? "a list of numbers" : `a list of ${spec.length} numbers`;
    case "texts":
      return "a list of one or more texts";
  }
}

/** The value as the spec has it, or undefined if it does not fit. Text from a flag is read as its type. */
function fit(spec: OptionSpec, value: unknown): unknown {
  switch (spec.type) {
    case "number": {
      const n = typeof value === "string" && value.trim() !== "" ? Number(value) : value;
      if (typeof n !== "number" || !Number.isFinite(n)) return undefined;
      if (spec.integer === true && !Number.isSafeInteger(n)) return undefined;
      if (n < (spec.min ?? -Infinity) || n > (spec.max ?? Infinity)) return undefined;
      return n;
    }
    case "boolean":
      if (value === "true" || value === "false") return value === "true";
      return typeof value === "boolean" ? value : undefined;
    case "text": {
      const plain =
        typeof value === "number" || (typeof value === "boolean" && spec.pattern !== undefined);
      const text = plain ? String(value) : value;
      if (typeof text !== "string" || text === "" || text.includes("\0")) return undefined;
      if (spec.pattern?.form.test(text) === false) return undefined;
      return spec.choices === undefined || spec.choices.includes(text) ? text : undefined;
    }
    case "seed": {
      const text = typeof value === "number" && Number.isSafeInteger(value) ? String(value) : value;
      if (typeof text !== "string" || !/^\d{1,20}$/.test(text)) return undefined;
      return BigInt(text) < 1n << 64n ? text : undefined;
    }
    case "numbers": {
      const list = typeof value === "string" ? value.split(",") : value;
      if (!Array.isArray(list) || list.length === 0) return undefined;
      const numbers = list.map((item) => fit({ type: "number", help: "" }, item));
      if (numbers.includes(undefined)) return undefined;
      return spec.length === undefined || numbers.length === spec.length ? numbers : undefined;
    }
    case "texts": {
      const list = typeof value === "string" ? value.split(",").map((s) => s.trim()) : value;
      if (!Array.isArray(list) || list.length === 0) return undefined;
      return list.every((item) => typeof item === "string" && item !== "") ? list : undefined;
    }
  }
}

/** Few edits between two words: what "did you mean" offers. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; ++i) {
    const next = [i];
    for (let j = 1; j <= b.length; ++j)
      next[j] = Math.min(
        row[j]! + 1,
        next[j - 1]! + 1,
        row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1),
      );
    row = next;
  }
  return row[b.length]!;
}

/** Where values come from, the later ones first in the order given to `resolve`. */
export interface Source {
  /** For messages: "train.yaml"; `flags` for a command line, whose names are said as flags. */
  name: string;
  values: Readonly<Record<string, unknown>>;
  /** What was wrong with the source before its values are looked at. */
  problems?: readonly string[];
}

/** The name of the source that is the command line. */
export const flags = "--";

/** "; did you mean --lr?", or nothing where no name is near. */
export function hintFor(name: string, names: readonly string[]): string {
  const [closest] = names.toSorted((a, b) => distance(a, name) - distance(b, name));
  const near =
    closest !== undefined && distance(closest, name) <= Math.min(3, Math.ceil(name.length / 3));
  return near ? `; did you mean ${closest}?` : "";
}

/**
 * Defaults, overlaid by each source in turn, checked.
 *
 * @throws SrpoError ERR_CONFIG that names every wrong value and every unknown name at once, a line each
 */
export function resolve<T extends Schema>(schema: T, sources: readonly Source[]): Values<T> {
  const problems: string[] = [];
  const values: Record<string, unknown> = {};
  for (const [name, spec] of Object.entries(schema)) values[name] = spec.default;
  for (const source of sources) {
    problems.push(...(source.problems ?? []));
    const said = (name: string) =>
      source.name === flags ? `--${flagOf(name)}` : `${source.name}: ${name}`;
    for (const [name, value] of Object.entries(source.values)) {
      if (value === undefined) continue;
      const spec = Object.hasOwn(schema, name) ? schema[name] : undefined;
      if (spec === undefined) {
        problems.push(`${said(name)}: no such option${hintFor(name, Object.keys(schema))}`);
        continue;
      }
      const fitted = fit(spec, value);
      if (fitted === undefined)
        problems.push(`${said(name)}: expected ${describe(spec)}, got ${show(value)}`);
      else values[name] = fitted;
    }
  }
  if (problems.length > 0) throw new SrpoError("ERR_CONFIG", problems.join("\n"));
  return values as Values<T>;
}

/** The table as a JSON Schema, for editors that check YAML. */
export function jsonSchema(schema: Schema): object {
  const typeOf = (spec: OptionSpec): object => {
    switch (spec.type) {
      case "number":
        return {
          type: spec.integer === true ? "integer" : "number",
          ...(spec.min === undefined ? {} : { minimum: spec.min }),
          ...(spec.max === undefined ? {} : { maximum: spec.max }),
        };
      case "boolean":
        return { type: "boolean" };
      case "text":
        return spec.choices === undefined
          ? { type: "string" }
          : { type: "string", enum: spec.choices };
      case "seed":
        return { type: ["string", "integer"] };
      case "numbers":
        return { type: "array", items: { type: "number" } };
      case "texts":
        return { type: "array", items: { type: "string" } };
    }
  };
  const properties = Object.entries(schema).map(([name, spec]) => [
    name,
    {
      description: spec.help,
      ...(spec.default === undefined ? {} : { default: spec.default }),
      ...typeOf(spec),
    },
  ]);
  return {
    $schema: "https://json-schema.org/draft/2020-12/schema",
    type: "object",
    additionalProperties: false,
    properties: Object.fromEntries(properties) as object,
  };
}
