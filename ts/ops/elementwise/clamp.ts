import { record } from "../../autograd/tape.js";
import { native } from "../../native/binding.js";
import type { Tensor } from "../../tensor/tensor.js";

/**
 * `y = min(max(x, lo), hi)`, element by element. The gradient is 1 inside the closed interval (on its
 * bounds too, as in PyTorch) and 0 outside.
 *
 * @param x - any shape, float32 or bfloat16
 * @param lo - the lower bound; -Infinity for none
 * @param hi - the upper bound, at least lo; Infinity for none
 * @throws SrpoError ERR_SHAPE or ERR_DTYPE, naming the argument; RangeError ERR_RANGE if lo > hi
 */
export function clamp(x: Tensor, lo: number, hi: number): Tensor {
  return record("clamp", [x], native.clampForward(x.handle, lo, hi), (dy) => [
    native.clampBackward(dy, x.handle, lo, hi),
  ]);
}
