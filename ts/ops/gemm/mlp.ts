import { alias, needsGradient, record, weightGradient } from "../../autograd/tape.js";
import { native } from "../../native/binding.js";
import type { Tensor } from "../../tensor/tensor.js";
import { productGradient, type LinearOptions } from "./linear.js";

export interface MlpOptions extends Omit<LinearOptions, "act"> {
  /** Between the two layers. */
  act: NonNullable<LinearOptions["act"]>;
}

/** A layer's weight, and its bias or null. */
export type Layer = readonly [w: Tensor, b: Tensor | null];

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
  [w1, b1]: Layer,
  [w2, b2]: Layer,
  { act, residual = null, gate = null }: MlpOptions,
): Tensor {
  const slopes = act !== "none" && needsGradient(x, w1, b1);
  const [hidden, pre] = native.linearForward(
    x.handle,
    w1.handle,
    b1?.handle ?? null,
    null,
    null,
    act,
    slopes,
    null,
  );
  const [y, preGate] = native.linearForward(
    hidden,
    w2.handle,
    b2?.handle ?? null,
    residual?.handle ?? null,
    gate?.handle ?? null,
    "none",
    needsGradient(gate),
    null,
  );
  return record("mlp", [x, w1, b1, w2, b2, residual, gate], y, (dy) => {
    const [dw2, db2] = [productGradient(w2, x), weightGradient(b2)];
    const beneath = x.requiresGrad || w1.requiresGrad || b1?.requiresGrad === true;
    const [dpre, dgate] = native.linearBackward(
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
    );
    const [dw1, db1] = [productGradient(w1, x), weightGradient(b1)];
    let dx = null;
    if (dpre !== null) {
      [dx] = native.linearBackward(
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
      );
      native.tensorDispose(dpre);
    }
    const dresidual = residual?.requiresGrad === true ? alias(dy) : null;
    return [dx, dw1.result, db1.result, dw2.result, db2.result, dresidual, dgate];
  });
}
