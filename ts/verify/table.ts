import type { Row } from "./comparison.js";
import type { Skipped, VerifyReport } from "./verify.js";

const scientific = (value: number) => (Number.isFinite(value) ? value.toExponential(1) : "-");

/** The worst row of a kind, as a fixture's line has it. */
function worst(rows: readonly Row[], of: (tensor: string) => boolean): string {
  const errors = rows.filter(({ tensor, note }) => of(tensor) && note === undefined);
  if (errors.length === 0) return "-";
  return scientific(errors.reduce((most, { error }) => Math.max(most, error), 0));
}

const isGradient = (tensor: string) => tensor.startsWith("grad");

/** One line a fixture, and beneath it what is out; with `all`, every tensor. */
export function fixtureLines(
  name: string,
  rows: readonly Row[],
  { all = false }: { all?: boolean } = {},
): string[] {
  const out = rows.filter(({ ok }) => !ok);
  const summary =
    `${out.length === 0 ? "ok  " : "FAIL"} ${name.padEnd(22)} ${String(rows.length).padStart(4)} tensors` +
    `  outputs ${worst(rows, (t) => !isGradient(t)).padStart(7)}` +
    `  gradients ${worst(rows, isGradient).padStart(7)}`;
  const listed = (all ? rows : out).map(
    ({ tensor, error, tolerance, ok, note }) =>
      `       ${ok ? "ok  " : "FAIL"} ${tensor || "(fixture)"}: ` +
      (Number.isFinite(error) ? `${scientific(error)} of ${scientific(tolerance)}` : "") +
      (note === undefined ? "" : ` ${note}`),
  );
  return [summary, ...listed];
}

/** What stands beneath the table. */
export function closingLines({ rows, skipped }: VerifyReport): string[] {
  const out = rows.filter(({ ok }) => !ok).length;
  return [
    ...skipped.map(({ fixture, count, why }: Skipped) => `skip ${fixture}: ${count} rows, ${why}`),
    `${rows.length - out} tensors within tolerance, ${out} out` +
      (skipped.length === 0
        ? ""
        : `, ${skipped.reduce((sum, { count }) => sum + count, 0)} skipped`),
  ];
}
