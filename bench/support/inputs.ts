import { backward } from "../../ts/autograd/backward.js";
import { requireGrad } from "../../ts/autograd/tape.js";
import { affine, cast, purposes, randn } from "../../ts/ops/index.js";
import { synchronize, type Device } from "../../ts/tensor/device.js";
import type { DType } from "../../ts/tensor/dtype.js";
import { tensorScope } from "../../ts/tensor/scope.js";
import type { Tensor } from "../../ts/tensor/tensor.js";

let drawn = 0;
let device: Device = "cpu";

/** Where the inputs of later calls are made, and so where the ops run; the cpu if never called. */
export function setBenchDevice(where: Device): void {
  device = where;
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

/** One call of an op, forward alone or with the gradients of all inputs. A GPU is not waited for. */
export function callOf(
  fn: (...inputs: Tensor[]) => Tensor,
  inputs: readonly Tensor[],
  { backward: withBackward }: { backward: boolean },
): () => Promise<void> {
  const leaves = inputs.map((t) => (withBackward ? requireGrad(t.detach()) : t));
  let cotangent: Tensor | undefined;
  return async () => {
    {
      using scope = tensorScope();
      const y = fn(...leaves);
      if (withBackward) {
        if (cotangent === undefined) scope.keep((cotangent = input(y.shape, y.dtype)));
        backward(y, cotangent);
      }
    }
    if (!device.startsWith("cuda")) await synchronize(device);
  };
}
