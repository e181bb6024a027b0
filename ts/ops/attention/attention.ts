import { record, weightGradient } from "../../autograd/tape.js";
import { native } from "../../native/binding.js";
import type { Tensor } from "../../tensor/tensor.js";

export interface AttentionOptions {
  /** Multiplies the products of q and k; default 1 / sqrt(Dh). */
  scale?: number;
  /** Query i sees keys 0 to i only, whatever the two lengths are. */
  causal?: boolean;
  /** [N, Lq, Lk], float32 or the dtype of q: added to the scaled products, shared by the batch. */
  bias?: Tensor | null;
  /** [B, Lk], int32: 0 hides the key from all queries of the sample. */
  keyMask?: Tensor | null;
}

/**
 * Softmax attention: `out[b, i] = sum over j of softmax_j(scale * q[b, n, i] . k[b, n, j] + bias[n, i, j])
 * v[b, n, j]`, the heads side by side. A query that sees no key gives 0, and no gradient flows from it.
 *
 * @param q - [B, N, Lq, Dh], float32 or bfloat16
 * @param k - [B, N, Lk, Dh], dtype of q
 * @param v - [B, N, Lk, Dh], dtype of q
 * @returns [B, Lq, N*Dh], dtype and device of q; scores, statistics and sums are float32, and the bits
 *   depend on nothing but the inputs. The gradient of the bias is float32, summed over the batch in order
 * @throws SrpoError ERR_SHAPE, ERR_DTYPE, ERR_DEVICE or ERR_RANGE, naming the argument
 * @see Vaswani et al. 2017, arXiv:1706.03762 sec. 3.2; FlashAttention-2, arXiv:2307.08691
 */
export function attention(
  q: Tensor,
  k: Tensor,
  v: Tensor,
  { scale, causal = false, bias = null, keyMask = null }: AttentionOptions = {},
): Tensor {
  const factor = scale ?? 1 / Math.sqrt(q.dim(-1));
  const [out, lse] = native.attentionForward(
    q.handle,
    k.handle,
    v.handle,
    bias?.handle ?? null,
    keyMask?.handle ?? null,
    factor,
    causal,
    0,
  );
  return record("attention", [q, k, v, bias], out, (dout) => {
    const dbias = weightGradient(bias);
    const [dq, dk, dv] = native.attentionBackward(
      dout,
      out,
      lse,
      q.handle,
      k.handle,
      v.handle,
      bias?.handle ?? null,
      keyMask?.handle ?? null,
      factor,
      causal,
      dbias.into,
    );
    return [dq, dk, dv, dbias.result];
  });
}
