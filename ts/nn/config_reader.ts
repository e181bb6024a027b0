import { SrpoError } from "../native/error.js";

export type Json = null | boolean | number | string | readonly Json[] | JsonObject;
export interface JsonObject {
  readonly [key: string]: Json | undefined;
}

export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/**
 * Reads a checkpoint's config file field by field and keeps what is wrong, so that `check` names all of it
 * at once. A default stands for a missing field; without one the field must be there.
 */
export class ConfigReader {
  readonly #json: JsonObject;
  readonly #of: string;
  readonly #problems: string[] = [];

  /** @param of - the subject of messages: which model's config */
  constructor(json: unknown, of: string) {
    this.#of = of;
    this.#json = isJsonObject(json) ? json : {};
    if (!isJsonObject(json)) this.#problems.push(`expected a JSON object, got ${show(json)}`);
  }

  has(key: string): boolean {
    return this.#json[key] !== undefined && this.#json[key] !== null;
  }

  wrong(key: string, expected: string, got: unknown = this.#json[key]): void {
    this.#problems.push(`${key}: expected ${expected}, got ${show(got)}`);
  }

  #read<T extends Json>(
    key: string,
    fallback: T | undefined,
    expected: string,
    accepts: (value: Json) => boolean,
    stand: T,
  ): T {
    const value = this.#json[key];
    if (value === undefined || value === null) {
      if (fallback === undefined) this.wrong(key, expected, undefined);
      return fallback ?? stand;
    }
    if (accepts(value)) return value as T;
    this.wrong(key, expected);
    return fallback ?? stand;
  }

  /** A whole number of at least 1 (or of at least 0 with `zero`). */
  count(key: string, fallback?: number, { zero = false }: { zero?: boolean } = {}): number {
    const least = zero ? 0 : 1;
    const accepts = (value: Json) =>
      typeof value === "number" && Number.isSafeInteger(value) && value >= least;
    return this.#read(key, fallback, `a whole number, ${least} or more`, accepts, 1);
  }

  /** A finite number, above 0 with `positive`. */
  number(
    key: string,
    fallback?: number,
    { positive = false }: { positive?: boolean } = {},
  ): number {
    const accepts = (value: Json) =>
      typeof value === "number" && Number.isFinite(value) && (!positive || value > 0);
    return this.#read(key, fallback, positive ? "a number above 0" : "a number", accepts, 1);
  }

  boolean(key: string, fallback?: boolean): boolean {
    return this.#read(key, fallback, "true or false", (v) => typeof v === "boolean", false);
  }

  oneOf<T extends string>(key: string, choices: readonly T[], fallback?: T): T {
    const expected = choices.length === 1 ? `"${choices[0]}"` : `one of ${choices.join(", ")}`;
    const accepts = (value: Json) => choices.some((choice) => choice === value);
    return this.#read(key, fallback, expected, accepts, choices[0]!);
  }

  /** A field that may only have this value, if it is there. */
  fixed(key: string, value: Json): void {
    const found = this.#json[key];
    if (found !== undefined && found !== value) this.wrong(key, show(value));
  }

  /** A list of whole numbers of at least 1, itself not empty. */
  counts(key: string, fallback?: readonly number[]): readonly number[] {
    const accepts = (value: Json) =>
      Array.isArray(value) &&
      value.length > 0 &&
      value.every((n) => Number.isSafeInteger(n) && (n as number) >= 1);
    return this.#read(key, fallback, "a list of whole numbers, 1 or more", accepts, [1]);
  }

  /** A list of so many numbers. */
  numbers(key: string, length: number, fallback?: readonly number[]): readonly number[] {
    const accepts = (value: Json) =>
      Array.isArray(value) && value.length === length && value.every(Number.isFinite);
    return this.#read(key, fallback, `a list of ${length} numbers`, accepts, []);
  }

  strings(key: string, fallback: readonly string[]): readonly string[] {
    const accepts = (value: Json) =>
      Array.isArray(value) && value.every((item) => typeof item === "string");
    return this.#read(key, fallback, "a list of names", accepts, fallback);
  }

  /** A reader of the object under a key, or under the first of several that is there; undefined if none is. */
  object(...keys: readonly string[]): JsonObject | undefined {
    const key = keys.find((k) => this.has(k));
    if (key === undefined) return undefined;
    const value = this.#json[key];
    if (isJsonObject(value)) return value;
    this.wrong(key, "an object");
    return undefined;
  }

  /** Takes the problems of a part's reader along. */
  absorb(part: ConfigReader): void {
    this.#problems.push(...part.#problems.map((problem) => `${part.#of}.${problem}`));
  }

  /** @throws SrpoError ERR_CONFIG that names every wrong value */
  check(): void {
    if (this.#problems.length > 0)
      throw new SrpoError("ERR_CONFIG", `${this.#of}: ${this.#problems.join("; ")}`);
  }
}

function show(value: unknown): string {
  return value === undefined ? "nothing" : JSON.stringify(value);
}
