/** How a parameter starts in a model made from nothing. */
export type Init =
  { readonly kind: "zeros" | "ones" } | { readonly kind: "normal"; readonly deviation: number };

/** What a model declares of one of its weights, before any memory exists. */
export interface Parameter {
  readonly name: string;
  readonly shape: readonly number[];
  readonly init: Init;
}

/** Elements of a shape. */
export function sizeOf(shape: readonly number[]): number {
  return shape.reduce((product, n) => product * n, 1);
}

/** A parameter drawn from a normal distribution. */
export function normal(name: string, shape: readonly number[], deviation = 0.02): Parameter {
  return { name, shape, init: { kind: "normal", deviation } };
}

/** `NAME.weight` [outputs, inputs] with variance 1 / inputs, and `NAME.bias` [outputs] of zeros. */
export function linearParameters(
  name: string,
  inputs: number,
  outputs: number,
  { bias = true }: { bias?: boolean } = {},
): Parameter[] {
  const weight = normal(`${name}.weight`, [outputs, inputs], inputs ** -0.5);
  return bias
    ? [weight, { name: `${name}.bias`, shape: [outputs], init: { kind: "zeros" } }]
    : [weight];
}

/** `NAME.weight` [width] of ones, and `NAME.bias` [width] of zeros. */
export function normParameters(
  name: string,
  width: number,
  { bias = true }: { bias?: boolean } = {},
): Parameter[] {
  const weight: Parameter = { name: `${name}.weight`, shape: [width], init: { kind: "ones" } };
  return bias
    ? [weight, { name: `${name}.bias`, shape: [width], init: { kind: "zeros" } }]
    : [weight];
}

/** `NAME.weight` [outputs, kernel, kernel, inputs] (channels last) and `NAME.bias` [outputs]. */
export function convolutionParameters(
  name: string,
  inputs: number,
  outputs: number,
  kernel: 1 | 3,
): Parameter[] {
  const shape = [outputs, kernel, kernel, inputs];
  return [
    normal(`${name}.weight`, shape, (inputs * kernel * kernel) ** -0.5),
    { name: `${name}.bias`, shape: [outputs], init: { kind: "zeros" } },
  ];
}
