import { record } from "../../autograd/tape.js";
import { native } from "../../native/binding.js";
import type { Tensor } from "../../tensor/tensor.js";
import { backwardOf, forwardCall, savesPre, tensorsOf, type Activation } from "./linear_calls.js";

export interface LinearOptions {
  /** Of `x wT + b`; default none. */
  act?: Activation;
  /** [..., N], added at the end. */
  residual?: Tensor | null;
  /** [B, N], multiplies the activated rows; sample b is the b-th of B equal parts of x's rows. */
  gate?: Tensor | null;
}

/**
 * `residual + gate * act(x wT + b)`, in one pass: what is not given is left out.
 *
 * @param x - [..., K], float32 or bfloat16
 * @param w - [N, K], dtype of x
 * @param b - [N], dtype of x, or null
 * @returns [..., N], dtype and device of x; sums and epilogue run in float32, rounded once
 * @throws SrpoError ERR_SHAPE, ERR_DTYPE, ERR_DEVICE or ERR_RANGE, naming the argument
 */
export function linear(
  x: Tensor,
  w: Tensor,
  b: Tensor | null = null,
  { act = "none", residual = null, gate = null }: LinearOptions = {},
): Tensor {
  const all = { x, w, b, residual, gate };
  const [y, pre] = native.linearForward(...forwardCall(all, act, savesPre(all, act)));
  return record("linear", tensorsOf(all), y, (dy) => {
    const { call, gradients } = backwardOf(all, act, pre, dy);
    const [dx, dgate] = call === null ? [null, null] : native.linearBackward(...call);
    return gradients(dx, dgate);
  });
}
