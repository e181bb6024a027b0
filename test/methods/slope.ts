import assert from "node:assert/strict";
import { add, affine } from "../../ts/ops/index.js";
import { tensor, type Tensor } from "../../ts/tensor/tensor.js";

export function dot(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < a.length; ++i) sum += a[i]! * b[i]!;
  return sum;
}

/**
 * That a gradient is the loss's slope by central differences: along the gradient itself and along the
 * steepest single weights.
 *
 * @param weights - [n], moved meanwhile
 * @param loss - at the weights as they are
 */
export async function checkSlopes(
  weights: Tensor,
  gradient: Float32Array,
  loss: () => Promise<number>,
): Promise<void> {
  const start = tensor(await weights.read(), undefined, { device: weights.device });
  const lossAt = async (direction: Float32Array, step: number) => {
    const { device } = weights;
    weights.copyFrom(add(start, affine(tensor(direction, undefined, { device }), step, 0)));
    return loss();
  };
  const check = async (direction: Float32Array, step: number, name: string) => {
    const slope = ((await lossAt(direction, step)) - (await lossAt(direction, -step))) / (2 * step);
    const exact = dot(gradient, direction);
    assert.ok(Math.abs(slope / exact - 1) < 2e-2, `${name}: slope ${slope}, gradient ${exact}`);
  };
  const norm = Math.sqrt(dot(gradient, gradient));
  assert.ok(norm > 0);
  await check(
    gradient.map((g) => g / norm),
    0.02,
    "along the gradient",
  );
  const steepest = Array.from(gradient.keys())
    .sort((a, b) => Math.abs(gradient[b]!) - Math.abs(gradient[a]!))
    .slice(0, 4);
  for (const i of steepest) {
    const one = new Float32Array(gradient.length);
    one[i] = 1;
    await check(one, 0.05, `weight ${i}`);
  }
  weights.copyFrom(start);
}
