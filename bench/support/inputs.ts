import { gradients } from "../../ts/autograd/backward.js";
import { requireGrad } from "../../ts/autograd/tape.js";
import { affine, cast, purposes, randn } from "../../ts/ops/index.js";
import type { Device } from "../../ts/tensor/device.js";
import type { DType } from "../../ts/tensor/dtype.js";
import { tensorScope } from "../../ts/tensor/scope.js";
import { Tensor } from "../../ts/tensor/tensor.js";
import type { Call } from "./case.js";

let drawn = 0;
let device: Device = "cpu";

/** Where the inputs of later calls are made, and so where the ops run; the cpu if never called. */
export function setBenchDevice(where: Device): void {
  device = where;
}

export function benchDevice(): Device {
  return device;
}

/** Random inputs of about the size that activations have. */
export function input(shape: readonly number[], dtype: DType): Tensor {
  const numbers = randn(shape, {
    seed: 1n,
    purpose: purposes.free,
    step: 0,
    sample: drawn++,
    device,
  });
  return cast(affine(numbers, 0.1, 0), dtype);
}

/** Fills a flat buffer with normal numbers, a part at a time: it may be most of the device's memory. */
export function fillRandomly(t: Tensor, deviation: number): void {
  const part = 1 << 24;
  for (let offset = 0; offset < t.size; offset += part) {
    using scope = tensorScope();
    void scope;
    const n = Math.min(part, t.size - offset);
    const key = { seed: 1n, purpose: purposes.free, step: 1, sample: drawn++, device };
    t.viewOf(offset, [n]).copyFrom(cast(affine(randn([n], key), deviation, 0), t.dtype));
  }
}

/** One call of an op, forward alone or with the gradients of all inputs; from all outputs, where it has several. */
export function callOf(
  fn: (...inputs: Tensor[]) => Tensor | readonly Tensor[],
  inputs: readonly Tensor[],
  { backward: withBackward }: { backward: boolean },
): Call {
  const leaves = inputs.map((t) => (withBackward ? requireGrad(t.detach()) : t));
  let cotangents: Tensor[] | undefined;
  return () => {
    using scope = tensorScope();
    const made = fn(...leaves);
    if (!withBackward) return;
    const ys = made instanceof Tensor ? [made] : made;
    cotangents ??= ys.map((y) => scope.keep(input(y.shape, y.dtype)));
    gradients(
      ys,
      cotangents.map(({ handle }) => handle),
    );
  };
}

export const directions = [false, true] as const;
export const way = (backward: boolean): string => (backward ? "forward+backward" : "forward");
