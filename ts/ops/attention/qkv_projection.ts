import { givesRecordedBits, recordMany } from "../../autograd/tape.js";
import { native } from "../../native/binding.js";
import { SrpoError } from "../../native/error.js";
import type { Tensor } from "../../tensor/tensor.js";
import { linear } from "../gemm/linear.js";
import { linearPair } from "../gemm/linear_pair.js";
import { qkvNormRope, type QkvNormRopeOptions } from "./qkv_norm_rope.js";

export interface QkvProjectionStream {
  /** [B, Li, D] */
  x: Tensor;
  /** [3*N*Dh, D], dtype of x: rows of q of all heads, then k, then v. */
  w: Tensor;
  /** [3*N*Dh], dtype of x, or null. */
  b?: Tensor | null;
  /** [Dh], dtype of x: weight of the RMS norm of q; without it q is not normalised. */
  qScale?: Tensor | null;
  /** [Dh], dtype of x: the same for k. */
  kScale?: Tensor | null;
}

/**
 * `qkvNormRope` of `x wT + b` of every stream. Where ops record (and in `asRecorded`) it is those two ops.
 * In `noGrad` it is one, which on a card writes q, k and v alone: in bfloat16, with heads of 128, the projection
 * is then not rounded before the norm, and the bits differ from those of the two ops.
 *
 * @param streams - one or two, joined along the tokens
 * @returns q, k and v, each [B, N, L, Dh] with L the sum of the Li
 * @throws SrpoError ERR_SHAPE, ERR_DTYPE, ERR_DEVICE or ERR_RANGE, naming the argument
 * @see FLUX.1 double and single blocks; rotary embedding, arXiv:2104.09864 eq. 34
 */
export function qkvProjection(
  streams: readonly QkvProjectionStream[],
  { heads, rope = null, eps = 1e-6 }: QkvNormRopeOptions,
): [q: Tensor, k: Tensor, v: Tensor] {
  if (streams.length < 1 || streams.length > 2)
    throw new SrpoError(
      "ERR_RANGE",
      `qkvProjection: streams: expected 1 or 2, got ${streams.length}`,
    );
  const inputs = streams.flatMap(({ x, w, b, qScale, kScale }) => [x, w, b, qScale, kScale]);
  if (givesRecordedBits()) {
    const [first, second] = streams;
    const qkvs =
      second === undefined
        ? [linear(first!.x, first!.w, first!.b)]
        : linearPair(product(first!), product(second));
    const projected = streams.map(({ qScale = null, kScale = null }, i) => ({
      qkv: qkvs[i]!,
      qScale,
      kScale,
    }));
    return qkvNormRope(projected, { heads, rope, eps });
  }
  const outputs = native.qkvProjection(
    streams.map(({ x }) => x.handle),
    streams.map(({ w }) => w.handle),
    streams.map(({ b }) => b?.handle ?? null),
    streams.map(({ qScale }) => qScale?.handle ?? null),
    streams.map(({ kScale }) => kScale?.handle ?? null),
    rope?.cos.handle ?? null,
    rope?.sin.handle ?? null,
    heads,
    eps,
  );
  const [q, k, v] = recordMany("qkvProjection", inputs, outputs, () => {
    throw new SrpoError("ERR_GRADIENT", "qkvProjection: nothing is recorded of it");
  });
  return [q!, k!, v!];
}

const product = ({ x, w, b = null }: QkvProjectionStream) => ({ x, w, b });
