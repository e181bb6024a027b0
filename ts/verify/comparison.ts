import type { Fixture } from "./fixture.js";

/** One line of the table: how far one tensor is from the reference. */
export interface Row {
  readonly fixture: string;
  readonly tensor: string;
  /** Relative L2, unless `note` says otherwise. */
  readonly error: number;
  readonly tolerance: number;
  readonly ok: boolean;
  /** Which rule was applied, or why it failed. */
  readonly note?: string;
}

export interface Tolerances {
  readonly outputs: number;
  readonly gradients: number;
  /** Of gradients that are zero but for rounding, as a part of the fixture's largest norm. */
  readonly noise: number;
}

// goldens/README.md: the noise floor of the float32 references is below a tenth of these.
export const float32Tolerances: Tolerances = { outputs: 1e-5, gradients: 1e-4, noise: 1e-6 };
// The reference itself under bf16 autocast is off by up to 2e-2; a gradient rounds twice as often.
export const bfloat16Tolerances: Tolerances = { outputs: 5e-2, gradients: 1e-1, noise: 1e-3 };

/** A gradient whose norm is below this part of the fixture's largest is noise around zero. */
const noiseFloor = 1e-6;

const isGradient = (key: string) => key.startsWith("grad");

function normOf(values: ArrayLike<number>): number {
  let squares = 0;
  for (let i = 0; i < values.length; ++i) squares += values[i]! ** 2;
  return Math.sqrt(squares);
}

/** ||a - b||; infinite where a number is missing or none. */
function distance(a: ArrayLike<number>, b: ArrayLike<number>): number {
  if (a.length !== b.length) return Infinity;
  let squares = 0;
  for (let i = 0; i < b.length; ++i) squares += (a[i]! - b[i]!) ** 2;
  return Number.isNaN(squares) ? Infinity : Math.sqrt(squares);
}

/** Holds what a replay computed against what its fixture says, a row a tensor. */
export class Comparison {
  readonly rows: Row[] = [];
  readonly #fixture: Fixture;
  readonly #tolerances: Tolerances;
  readonly #seen = new Set<string>();
  #largest: Promise<number> | undefined;

  constructor(fixture: Fixture, tolerances: Tolerances = float32Tolerances) {
    this.#fixture = fixture;
    this.#tolerances = tolerances;
  }

  /** Whether the fixture has a tensor of this key. */
  wants(key: string): boolean {
    return this.#fixture.keys.has(key);
  }

  /**
   * Adds a row for a tensor: exact for integers; for gradients that are zero but for rounding an
   * absolute bound; else relative L2.
   *
   * @param actual - in the fixture's own order
   * @param options.tolerance - relative, where the README has one of its own for this tensor
   */
  async add(
    key: string,
    actual: ArrayLike<number>,
    { tolerance }: { tolerance?: number } = {},
  ): Promise<void> {
    this.#seen.add(key);
    const expected = await this.#fixture.values(key);
    const difference = distance(actual, expected);
    const norm = normOf(expected);
    if (this.#fixture.isInteger(key)) {
      let wrong = 0;
      for (let i = 0; i < expected.length; ++i) if (expected[i] !== actual[i]) ++wrong;
      this.#row(
        key,
        actual.length === expected.length ? wrong : Infinity,
        0,
        "numbers that differ",
      );
    } else if (isGradient(key) && norm < noiseFloor * (await this.#largestGradient())) {
      const part = difference / (await this.#largestGradient());
      this.#row(
        key,
        part,
        this.#tolerances.noise,
        "of the largest gradient's norm: zero but for rounding",
      );
    } else {
      const { outputs, gradients } = this.#tolerances;
      const allowed = tolerance ?? (isGradient(key) ? gradients : outputs);
      this.#row(key, norm === 0 ? difference : difference / norm, allowed);
    }
  }

  /**
   * Adds a row for weights after an update: relative L2 of their change, since the change is far below
   * the weights themselves.
   *
   * @param before - the weights before, in the fixture's order
   */
  async addChange(
    key: string,
    actual: ArrayLike<number>,
    before: ArrayLike<number>,
    tolerance: number,
  ): Promise<void> {
    this.#seen.add(key);
    const expected = await this.#fixture.values(key);
    const change = (values: ArrayLike<number>) =>
      Float64Array.from({ length: values.length }, (_, i) => values[i]! - before[i]!);
    const wanted = change(expected);
    this.#row(key, distance(change(actual), wanted) / normOf(wanted), tolerance, "of the change");
  }

  /** The rows, with one that failed for every output and gradient that no replay computed. */
  finish(): Row[] {
    for (const key of this.#fixture.keys)
      if (/^(out\.|grad[._])/.test(key) && !this.#seen.has(key)) this.fail(key, "not computed");
    return this.rows;
  }

  fail(key: string, note: string): void {
    this.rows.push({
      fixture: this.#fixture.name,
      tensor: key,
      error: Infinity,
      tolerance: 0,
      ok: false,
      note,
    });
  }

  #row(tensor: string, error: number, tolerance: number, note?: string): void {
    const row = { fixture: this.#fixture.name, tensor, error, tolerance, ok: error <= tolerance };
    this.rows.push(note === undefined ? row : { ...row, note });
  }

  #largestGradient(): Promise<number> {
    return (this.#largest ??= (async () => {
      let largest = 0;
      for (const key of this.#fixture.keys) {
        if (!isGradient(key)) continue;
        largest = Math.max(largest, normOf(await this.#fixture.values(key)));
      }
      return largest;
    })());
  }
}
