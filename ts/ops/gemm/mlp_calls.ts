// The two halves of mlp's backward, for one stream and for two.
import { alias, weightGradient, type Gradient } from "../../autograd/tape.js";
import type { Handle } from "../../native/binding.js";
import type { Tensor } from "../../tensor/tensor.js";
import { productGradient, type Activation, type BackwardCall } from "./linear_calls.js";

/** A layer's weight, and its bias or null. */
export type Layer = readonly [w: Tensor, b: Tensor | null];

/** The tensors of an `mlp`. */
export interface MlpInputs {
  /** [..., K], float32 or bfloat16 */
  x: Tensor;
  /** w1 [H, K] and b1 [H] or null, dtype of x */
  up: Layer;
  /** w2 [N, H] and b2 [N] or null, dtype of x */
  down: Layer;
  /** [..., N], added at the end. */
  residual?: Tensor | null;
  /** [B, N], as for `linear`. */
  gate?: Tensor | null;
}

/** What forward left for backward. */
export interface MlpSaved {
  hidden: Handle;
  pre: Handle | null;
  preGate: Handle | null;
}

/** In the order in which backward has their gradients. */
export const tensorsOf = ({ x, up, down, residual, gate }: MlpInputs) => [
  x,
  ...up,
  ...down,
  residual,
  gate,
];

export interface MlpBackward {
  /** Gives dpre and dgate. */
  down: BackwardCall;
  /** Of dpre, if it is there; gives dx. */
  up: (dpre: Handle | null) => BackwardCall | null;
  /** Those of `tensorsOf`. */
  gradients: (dx: Handle | null, dgate: Handle | null) => Gradient[];
}

/** The backward of the first layer, from the gradient of what its activation was given; gives dx. */
export function upCall(
  dpre: Handle,
  x: Tensor,
  w1: Tensor,
  dw1: ReturnType<typeof productGradient>,
  db1: ReturnType<typeof weightGradient>,
): BackwardCall {
  return [
    dpre,
    x.handle,
    w1.handle,
    null,
    null,
    "none",
    dw1.into,
    db1.into,
    x.requiresGrad,
    false,
    null,
    "none",
    dw1.squares,
    0,
  ];
}

export function backwardOf(
  { x, up: [w1, b1], down: [w2, b2], residual, gate }: MlpInputs,
  act: Activation,
  { hidden, pre, preGate }: MlpSaved,
  dy: Handle,
): MlpBackward {
  const [dw2, db2] = [productGradient(w2, x), weightGradient(b2)];
  const [dw1, db1] = [productGradient(w1, x), weightGradient(b1)];
  const beneath = x.requiresGrad || w1.requiresGrad || b1?.requiresGrad === true;
  return {
    down: [
      dy,
      hidden,
      w2.handle,
      preGate,
      gate?.handle ?? null,
      "none",
      dw2.into,
      db2.into,
      beneath,
      gate?.requiresGrad === true,
      beneath ? pre : null,
      beneath ? act : "none",
      dw2.squares,
      0,
    ],
    up: (dpre) => (dpre === null ? null : upCall(dpre, x, w1, dw1, db1)),
    gradients: (dx, dgate) => [
      dx,
      dw1.result,
      db1.result,
      dw2.result,
      db2.result,
      residual?.requiresGrad === true ? alias(dy) : null,
      dgate,
    ],
  };
}
