import assert from "node:assert/strict";
import { backward } from "../../ts/autograd/backward.js";
import { noGrad } from "../../ts/autograd/tape.js";
import { cast } from "../../ts/ops/elementwise/cast.js";
import { tensor, type Tensor } from "../../ts/tensor/tensor.js";
import { relativeError } from "./errors.js";
import { leaf, randn, uniforms } from "./tensors.js";

type Fn = (...inputs: Tensor[]) => Tensor;

function dot(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let total = 0;
  for (let i = 0; i < a.length; ++i) total += a[i]! * b[i]!;
  return total;
}

async function gradientsOf(fn: Fn, inputs: readonly Tensor[], seed: number) {
  const leaves = inputs.map(leaf);
  const y = fn(...leaves);
  const cotangent = randn(y.shape, { dtype: y.dtype, device: y.device, seed });
  backward(y, cotangent);
  const grads = [];
  for (const x of leaves) {
    grads.push(x.grad === undefined ? undefined : Float64Array.from(await x.grad.read()));
    x.grad?.dispose();
  }
  return { y: await y.read(), cotangent: await cotangent.read(), grads };
}

/**
 * Checks the gradient of every input against central differences along random directions, with a
 * random cotangent. Inputs are float32; `step` is the length of a direction's step relative to a
 * unit-variance input.
 */
export async function checkGradients(
  fn: Fn,
  inputs: readonly Tensor[],
  {
    tolerance = 3e-3,
    step = 1e-2,
    directions = 3,
    skip = [],
  }: { tolerance?: number; step?: number; directions?: number; skip?: readonly number[] } = {},
): Promise<void> {
  const { cotangent, grads } = await gradientsOf(fn, inputs, 77);
  for (const [i, x] of inputs.entries()) {
    if (skip.includes(i)) continue;
    const gradient = grads[i];
    assert.ok(gradient !== undefined, `input ${i} got no gradient`);
    const values = await x.read();
    for (let d = 0; d < directions; ++d) {
      const direction = uniforms(values.length, 1000 * i + d, -1, 1);
      const at = async (sign: number) => {
        const moved = values.map((v, j) => v + sign * step * direction[j]!);
        const shifted = tensor(moved, x.shape, { dtype: x.dtype, device: x.device });
        const replaced = inputs.map((other, j) => (j === i ? shifted : other));
        return dot(await noGrad(() => fn(...replaced)).read(), cotangent);
      };
      const numeric = ((await at(1)) - (await at(-1))) / (2 * step);
      const exact = dot(gradient, direction);
      const size = Math.sqrt(dot(gradient, gradient) * dot(direction, direction));
      // A random direction sees about 1/sqrt(n) of that size.
      const scale = size / Math.sqrt(values.length) + Math.abs(exact) + 1e-6;
      const error = Math.abs(numeric - exact) / scale;
      assert.ok(
        error <= tolerance,
        `input ${i}, direction ${d}: numeric ${numeric}, gradient ${exact}, error ${error}`,
      );
    }
  }
}

/**
 * Checks bfloat16 against float32 on the same (bfloat16) inputs: output and every gradient within
 * `tolerance` relative L2; 2^-8 a rounding, some roundings in a row.
 */
export async function checkBfloat16(
  fn: Fn,
  inputs: readonly Tensor[],
  { tolerance = 1e-2, skip = [] }: { tolerance?: number; skip?: readonly number[] } = {},
): Promise<void> {
  const half = inputs.map((x) => (x.dtype === "float32" ? cast(x, "bfloat16") : x));
  const full = half.map((x, i) => (inputs[i]!.dtype === "float32" ? cast(x, "float32") : x));
  const a = await gradientsOf(fn, half, 78);
  const b = await gradientsOf(fn, full, 78);
  const errorOfY = relativeError(a.y, b.y);
  assert.ok(errorOfY <= tolerance, `output: relative error ${errorOfY} above ${tolerance}`);
  for (const [i, gradient] of a.grads.entries()) {
    if (skip.includes(i) || inputs[i]!.dtype !== "float32") continue;
    assert.ok(gradient !== undefined && b.grads[i] !== undefined, `input ${i} got no gradient`);
    const error = relativeError(gradient, b.grads[i]);
    assert.ok(error <= tolerance, `gradient ${i}: relative error ${error} above ${tolerance}`);
  }
}
