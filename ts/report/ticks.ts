/** A scale's ends and marks, and how its numbers are written. */
export interface Ticks {
  low: number;
  high: number;
  at: readonly number[];
  say: (value: number) => string;
}

/** The first of 1, 2 and 5 times a power of ten that is not far below `step`. */
function roundStep(step: number): number {
  const power = 10 ** Math.floor(Math.log10(step));
  const digit = [1, 2, 5, 10].find((d) => d * power >= step * 0.8) ?? 10;
  return digit * power;
}

/**
 * Round marks that enclose the values, about `count` of them. Values that are not finite are left out.
 *
 * @param options.whole - whether only whole numbers make sense, as for updates
 */
export function ticksOf(
  values: readonly number[],
  { count = 5, whole = false }: { count?: number; whole?: boolean } = {},
): Ticks {
  const finite = values.filter(Number.isFinite);
  let least = finite.reduce((a, b) => Math.min(a, b), Infinity);
  let most = finite.reduce((a, b) => Math.max(a, b), -Infinity);
  if (finite.length === 0) [least, most] = [0, 1];
  if (most - least < 1e-12 * Math.max(1, Math.abs(most))) {
    const room = least === 0 ? 1 : Math.abs(least) / 10;
    [least, most] = [least - room, most + room];
  }
  const step = Math.max(roundStep((most - least) / count), whole ? 1 : 0);
  const first = Math.floor(least / step + 1e-9);
  const last = Math.ceil(most / step - 1e-9);
  const digits = Math.min(12, Math.max(0, -Math.floor(Math.log10(step) + 1e-9)));
  const exponent = step < 1e-4 || Math.abs(last * step) >= 1e6;
  const plain = (value: number) => value.toFixed(digits).replace(/^-(0(?:\.0*)?)$/, "$1");
  return {
    low: first * step,
    high: last * step,
    at: Array.from({ length: last - first + 1 }, (_, i) => (first + i) * step),
    say: (value) => (exponent ? value.toExponential(1) : plain(value)),
  };
}
