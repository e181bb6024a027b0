import { record } from "../../autograd/tape.js";
import { native, type Handle } from "../../native/binding.js";
import type { Tensor } from "../../tensor/tensor.js";

/** Which gelu a checkpoint was trained with. */
export type GeluKind = "tanh" | "erf" | "quick";

/**
 * The Gaussian error linear unit, element by element:
 * `erf` is `x Phi(x)`, `tanh` is `0.5 x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3)))` and `quick` is
 * `x sigmoid(1.702 x)`.
 *
 * @param x - any shape, float32 or bfloat16
 * @param kind - default tanh, FLUX's and T5's; erf is OpenCLIP's, quick CLIP-L's
 * @throws SrpoError ERR_SHAPE or ERR_DTYPE, naming the argument
 * @see arXiv:1606.08415
 */
export function gelu(x: Tensor, kind: GeluKind = "tanh"): Tensor {
  const { forward, backward } = directions[kind];
  return record("gelu", [x], forward(x.handle), (dy) => [backward(dy, x.handle)]);
}

const directions = {
  tanh: {
    forward: (x: Handle) => native.geluTanhForward(x),
    backward: (dy: Handle, x: Handle) => native.geluTanhBackward(dy, x),
  },
  erf: {
    forward: (x: Handle) => native.geluErfForward(x),
    backward: (dy: Handle, x: Handle) => native.geluErfBackward(dy, x),
  },
  quick: {
    forward: (x: Handle) => native.quickGeluForward(x),
    backward: (dy: Handle, x: Handle) => native.quickGeluBackward(dy, x),
  },
};
