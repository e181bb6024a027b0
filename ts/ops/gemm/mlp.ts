import { needsGradient, record } from "../../autograd/tape.js";
import { native } from "../../native/binding.js";
import type { Tensor } from "../../tensor/tensor.js";
import { forwardCall } from "./linear_calls.js";
import type { LinearOptions } from "./linear.js";
import { backwardOf, tensorsOf, type Layer } from "./mlp_calls.js";

export interface MlpOptions extends Omit<LinearOptions, "act"> {
  /** Between the two layers. */
  act: NonNullable<LinearOptions["act"]>;
}

/**
 * `residual + gate * (act(x w1T + b1) w2T + b2)`: as two `linear`, but the slope of the activation is
 * multiplied in on the way out of the product before it, so that backward makes no pass for it, and the
 * gradient of what the activation was given is rounded once.
 *
 * @param x - [..., K], float32 or bfloat16
 * @param up - w1 [H, K] and b1 [H] or null, dtype of x
 * @param down - w2 [N, H] and b2 [N] or null, dtype of x
 * @param options.residual - [..., N], added at the end
 * @param options.gate - [B, N], as for `linear`
 * @returns [..., N], dtype and device of x
 * @throws SrpoError ERR_SHAPE, ERR_DTYPE, ERR_DEVICE or ERR_RANGE, naming linear's argument
 */
export function mlp(
  x: Tensor,
  up: Layer,
  down: Layer,
  { act, residual = null, gate = null }: MlpOptions,
): Tensor {
  const all = { x, up, down, residual, gate };
  const [[w1, b1], [w2, b2]] = [up, down];
  const slopes = act !== "none" && needsGradient(x, w1, b1);
  const [hidden, pre] = native.linearForward(...forwardCall({ x, w: w1, b: b1 }, act, slopes));
  const second = forwardCall({ x, w: w2, b: b2, residual, gate }, "none", needsGradient(gate));
  second[0] = hidden;
  const [y, preGate] = native.linearForward(...second);
  return record("mlp", tensorsOf(all), y, (dy) => {
    const backward = backwardOf(all, act, { hidden, pre, preGate }, dy);
    const [dpre, dgate] = native.linearBackward(...backward.down);
    const below = backward.up(dpre);
    const [dx] = below === null ? [null] : native.linearBackward(...below);
    if (dpre !== null) native.tensorDispose(dpre);
    return backward.gradients(dx, dgate);
  });
}
