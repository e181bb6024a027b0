import { gradientOrZeros, recordMany, weightGradient } from "../../autograd/tape.js";
import { native } from "../../native/binding.js";
import { SrpoError } from "../../native/error.js";
import type { Tensor } from "../../tensor/tensor.js";
import type { RopeTable } from "./rope_table.js";

export interface QkvStream {
  /** [B, Li, 3*N*Dh]: rows of a fused projection, q of all heads, then k, then v. */
  qkv: Tensor;
  /** [Dh], dtype of qkv: weight of the RMS norm of q; without it q is not normalised. */
  qScale?: Tensor | null;
  /** [Dh], dtype of qkv: the same for k. */
  kScale?: Tensor | null;
}

export interface QkvNormRopeOptions {
  heads: number;
  /** Angles of every position of the joint sequence; without it nothing is turned. */
  rope?: RopeTable | null;
  /** Added to the mean square; 1e-6 in FLUX.1. */
  eps?: number;
}

/**
 * From fused projections to attention's q, k and v: splits the heads, normalises q and k over the head
 * (`x / sqrt(mean(x^2) + eps) * scale`), and turns each pair of channels (2m, 2m+1) by angle m of its
 * position. Two streams are joined along the tokens, in their order. Norm and rotation run in float32.
 *
 * @param streams - one or two; they may share their scales
 * @returns q, k and v, each [B, N, L, Dh] with L the sum of the Li; the scales' gradients are float32
 * @throws SrpoError ERR_SHAPE, ERR_DTYPE, ERR_DEVICE or ERR_RANGE, naming the argument
 * @see FLUX.1 double and single blocks; rotary embedding, arXiv:2104.09864 eq. 34
 */
export function qkvNormRope(
  streams: readonly QkvStream[],
  { heads, rope = null, eps = 1e-6 }: QkvNormRopeOptions,
): [q: Tensor, k: Tensor, v: Tensor] {
  if (streams.length < 1 || streams.length > 2)
    throw new SrpoError(
      "ERR_RANGE",
      `qkvNormRope: streams: expected 1 or 2, got ${streams.length}`,
    );
  const qkvs = streams.map(({ qkv }) => qkv.handle);
  const qScales = streams.map(({ qScale }) => qScale?.handle ?? null);
  const kScales = streams.map(({ kScale }) => kScale?.handle ?? null);
  const [cos, sin] = [rope?.cos.handle ?? null, rope?.sin.handle ?? null];
  const [q, k, v, qRstd, kRstd] = native.qkvNormRopeForward(
    qkvs,
    qScales,
    kScales,
    cos,
    sin,
    heads,
    eps,
  );
  const inputs = streams.flatMap(({ qkv, qScale, kScale }) => [qkv, qScale, kScale]);
  const outputs = recordMany("qkvNormRope", inputs, [q, k, v], ([dq, dk, dv]) => {
    const dqScales = streams.map(({ qScale }) => weightGradient(qScale));
    const dkScales = streams.map(({ kScale }) => weightGradient(kScale));
    const dqkvs = native.qkvNormRopeBackward(
      qkvs,
      qScales,
      kScales,
      cos,
      sin,
      gradientOrZeros(dq, q),
      gradientOrZeros(dk, k),
      gradientOrZeros(dv, v),
      qRstd,
      kRstd,
      dqScales.map(({ into }) => into),
      dkScales.map(({ into }) => into),
    );
    return streams.flatMap((_, i) => [dqkvs[i]!, dqScales[i]!.result, dkScales[i]!.result]);
  });
  return [outputs[0]!, outputs[1]!, outputs[2]!];
}
