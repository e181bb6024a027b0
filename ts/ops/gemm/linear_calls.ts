// What linear, mlp and the pairs of them ask the addon for.
import { alias, needsGradient, weightGradient, type Gradient } from "../../autograd/tape.js";
import { native, type Handle } from "../../native/binding.js";
import type { GemmRows } from "../../native/rows/gemm.js";
import type { Tensor } from "../../tensor/tensor.js";

export type Activation = "none" | "gelu-tanh" | "gelu-erf" | "quick-gelu" | "silu";

/** The tensors of a `linear`. */
export interface LinearInputs {
  /** [..., K], float32 or bfloat16 */
  x: Tensor;
  /** [N, K], dtype of x */
  w: Tensor;
  /** [N], dtype of x, or null */
  b?: Tensor | null;
  /** [..., N], added at the end. */
  residual?: Tensor | null;
  /** [B, N], multiplies the activated rows; sample b is the b-th of B equal parts of x's rows. */
  gate?: Tensor | null;
}

export type ForwardCall = Parameters<GemmRows["linearForward"]>;
export type BackwardCall = Parameters<GemmRows["linearBackward"]>;

/** In the order in which backward has their gradients. */
export const tensorsOf = ({ x, w, b, residual, gate }: LinearInputs) => [x, w, b, residual, gate];

/** What backward reads: the activation's slope from pre, the gate's gradient from act(pre). */
export const savesPre = ({ x, w, b, gate }: LinearInputs, act: Activation): boolean =>
  (act !== "none" && needsGradient(x, w, b, gate)) || needsGradient(gate);

export const forwardCall = (
  { x, w, b, residual, gate }: LinearInputs,
  act: Activation,
  save: boolean,
): ForwardCall => [
  x.handle,
  w.handle,
  b?.handle ?? null,
  residual?.handle ?? null,
  gate?.handle ?? null,
  act,
  save,
  null,
];

/** A call of backward, unless the residual alone has a gradient, and those of `tensorsOf` from what it gives. */
export interface Backward {
  call: BackwardCall | null;
  gradients: (dx: Handle | null, dgate: Handle | null) => Gradient[];
}

export function backwardOf(
  { x, w, b, residual, gate }: LinearInputs,
  act: Activation,
  pre: Handle | null,
  dy: Handle,
): Backward {
  const factors = act === "none" && (gate ?? null) === null ? w.factors : undefined;
  factors?.add(dy, x.handle);
  const dw =
    factors === undefined ? productGradient(w, x) : { into: null, result: null, squares: null };
  const db = weightGradient(b);
  const wanted = [x, w, b, gate].some((t) => t?.requiresGrad === true);
  const call: BackwardCall = [
    dy,
    x.handle,
    w.handle,
    pre,
    gate?.handle ?? null,
    act,
    dw.into,
    db.into,
    x.requiresGrad,
    gate?.requiresGrad === true,
    null,
    "none",
    dw.squares,
    0,
  ];
  return {
    call: wanted ? call : null,
    gradients: (dx, dgate) => [
      dx,
      dw.result,
      db.result,
      residual?.requiresGrad === true ? alias(dy) : null,
      dgate,
    ],
  };
}

/** Where the product of a weight's gradient with x goes: a bfloat16 buffer is added to as it is. */
export function productGradient(w: Tensor, x: Tensor): ReturnType<typeof weightGradient> {
  return weightGradient(w, { bfloat16: x.dtype === "bfloat16", squares: true });
}

/** What one of two calls gave, or what it would have, had it been made. */
export type Given = readonly [dx: Handle | null, dgate: Handle | null];

/** Both calls, or the one that is wanted. */
export function callBackward([first, second]: readonly [
  BackwardCall | null,
  BackwardCall | null,
]): readonly [Given, Given] {
  if (first !== null && second !== null) {
    const [dx, dgate, , dx2, dgate2] = native.linearPairBackward(first, second);
    return [
      [dx, dgate],
      [dx2, dgate2],
    ];
  }
  const alone = (call: BackwardCall | null): Given => {
    if (call === null) return [null, null];
    const [dx, dgate] = native.linearBackward(...call);
    return [dx, dgate];
  };
  return [alone(first), alone(second)];
}
