import { alias, record } from "../../autograd/tape.js";
import { native } from "../../native/binding.js";
import type { Tensor } from "../../tensor/tensor.js";

/**
 * `x + gate * y`, one gate a sample, shared by its tokens.
 *
 * @param x - [B, L, D], float32 or bfloat16
 * @param gate - [B, D], dtype of x
 * @param y - [B, L, D], dtype of x
 * @returns [B, L, D]; the gate's gradient is summed over the tokens in float32, in fixed blocks
 * @throws SrpoError ERR_SHAPE, ERR_DTYPE or ERR_DEVICE, naming the argument
 * @see FLUX.1 blocks; adaLN-Zero, arXiv:2212.09748 sec. 3.2
 */
export function gatedResidual(x: Tensor, gate: Tensor, y: Tensor): Tensor {
  const out = native.gatedResidualForward(x.handle, gate.handle, y.handle);
  return record("gatedResidual", [x, gate, y], out, (dout) => [
    x.requiresGrad ? alias(dout) : null,
    ...native.gatedResidualBackward(dout, gate.handle, y.handle, gate.requiresGrad, y.requiresGrad),
  ]);
}
