import { alias, needsGradient, record, weightGradient } from "../../autograd/tape.js";
import { native } from "../../native/binding.js";
import type { Tensor } from "../../tensor/tensor.js";

export type Activation = "none" | "gelu-tanh" | "gelu-erf" | "quick-gelu" | "silu";

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
  // What backward reads: the activation's slope from pre, the gate's gradient from act(pre).
  const save =
    (act !== "none" && needsGradient(x, w, b, gate)) || (gate !== null && needsGradient(gate));
  const [y, pre] = native.linearForward(
    x.handle,
    w.handle,
    b?.handle ?? null,
    residual?.handle ?? null,
    gate?.handle ?? null,
    act,
    save,
    null,
  );
  return record("linear", [x, w, b, residual, gate], y, (dy) => {
    const factors = act === "none" && gate === null ? w.factors : undefined;
    factors?.add(dy, x.handle);
    const dw =
      factors === undefined ? productGradient(w, x) : { into: null, result: null, squares: null };
    const db = weightGradient(b);
    const wantsDgate = gate?.requiresGrad === true;
    const [dx, dgate] = native.linearBackward(
      dy,
      x.handle,
      w.handle,
      pre,
      gate?.handle ?? null,
      act,
      dw.into,
      db.into,
      x.requiresGrad,
      wantsDgate,
      null,
      "none",
      dw.squares,
      0,
    );
    const dresidual = residual?.requiresGrad === true ? alias(dy) : null;
    return [dx, dw.result, db.result, dresidual, dgate];
  });
}

/** Where the product of a weight's gradient with x goes: a bfloat16 buffer is added to as it is. */
export function productGradient(w: Tensor, x: Tensor): ReturnType<typeof weightGradient> {
  return weightGradient(w, { bfloat16: x.dtype === "bfloat16", squares: true });
}
