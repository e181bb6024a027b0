import { alias, needsGradient, record, weightGradient } from "../../autograd/tape.js";
import { native } from "../../native/binding.js";
import type { Tensor } from "../../tensor/tensor.js";
import { productGradient } from "../gemm/linear_calls.js";
import type { MlpOptions } from "../gemm/mlp.js";
import { upCall, type Layer } from "../gemm/mlp_calls.js";

/**
 * Attention and an MLP side by side under one second layer:
 * `residual + gate * ([attention(q, k, v), act(x w1T + b1)] w2T + b2)`.
 *
 * Both write their columns of one tensor, so that nothing is copied. In backward the product with w2 writes the
 * gradient of each by itself, that of the MLP's times the slope of the activation, rounded once.
 *
 * @param heads - q, k and v, each [B, N, L, Dh], float32 or bfloat16
 * @param x - [B, L, K], dtype of q
 * @param up - w1 [H, K] and b1 [H] or null, dtype of q
 * @param down - w2 [M, N*Dh + H] and b2 [M] or null, dtype of q: first the columns for attention
 * @param options.residual - [B, L, M], added at the end
 * @param options.gate - [B, M], as for `linear`
 * @returns [B, L, M], dtype and device of q
 * @throws SrpoError ERR_SHAPE, ERR_DTYPE, ERR_DEVICE or ERR_RANGE, naming attention's or linear's argument
 * @see FLUX.1 single blocks; ViT-22B, arXiv:2302.05442 sec. 2.1
 */
export function attentionMlp(
  [q, k, v]: readonly [q: Tensor, k: Tensor, v: Tensor],
  x: Tensor,
  [w1, b1]: Layer,
  [w2, b2]: Layer,
  { act, residual = null, gate = null }: MlpOptions,
): Tensor {
  const scale = 1 / Math.sqrt(q.dim(-1));
  const slopes = act !== "none" && needsGradient(x, w1, b1);
  const [both, lse] = native.attentionForward(
    q.handle,
    k.handle,
    v.handle,
    null,
    null,
    scale,
    false,
    w1.dim(0),
  );
  const [, pre] = native.linearForward(
    x.handle,
    w1.handle,
    b1?.handle ?? null,
    null,
    null,
    act,
    slopes,
    both,
  );
  const [y, preGate] = native.linearForward(
    both,
    w2.handle,
    b2?.handle ?? null,
    residual?.handle ?? null,
    gate?.handle ?? null,
    "none",
    needsGradient(gate),
    null,
  );
  const inputs = [q, k, v, x, w1, b1, w2, b2, residual, gate];
  return record("attentionMlp", inputs, y, (dy) => {
    const [dw2, db2] = [productGradient(w2, x), weightGradient(b2)];
    const attends = [q, k, v].some((t) => t.requiresGrad);
    const hides = [x, w1, b1].some((t) => t?.requiresGrad === true);
    const [dpre, dgate, dattended] = native.linearBackward(
      dy,
      both,
      w2.handle,
      preGate,
      gate?.handle ?? null,
      "none",
      dw2.into,
      db2.into,
      attends || hides,
      gate?.requiresGrad === true,
      hides ? pre : null,
      hides ? act : "none",
      dw2.squares,
      w2.dim(1) - w1.dim(0),
    );
    const [dw1, db1] = [productGradient(w1, x), weightGradient(b1)];
    let dx = null;
    if (hides && dpre !== null) [dx] = native.linearBackward(...upCall(dpre, x, w1, dw1, db1));
    if (dpre !== null) native.tensorDispose(dpre);
    let dheads: readonly (typeof dx)[] = [null, null, null];
    if (attends && dattended !== null) {
      dheads = native.attentionBackward(
        dattended,
        both,
        lse,
        q.handle,
        k.handle,
        v.handle,
        null,
        null,
        scale,
        false,
        null,
      );
    }
    if (dattended !== null) native.tensorDispose(dattended);
    const dresidual = residual?.requiresGrad === true ? alias(dy) : null;
    return [...dheads, dx, dw1.result, db1.result, dw2.result, db2.result, dresidual, dgate];
  });
}
