import { SrpoError } from "../native/error.js";
import type { GradientSquares } from "../nn/gradient_squares.js";
import type { FactoredWeights } from "./factored.js";
import type { Tensor } from "../tensor/tensor.js";

/**
 * What an update works on: all weights of a model in one flat buffer, and their gradients at the same
 * element offsets of a second one. Views of both are a shard. `ParameterSet` is one.
 */
export interface FlatParameters {
  /** [n], float32 or bfloat16. */
  readonly weights: Tensor;
  /** [n], or [n - what is factored]; float32 or bfloat16; undefined for a frozen model. */
  readonly gradients: Tensor | undefined;
  /** What lies behind the last of `gradients`, matrix by matrix; default nothing. */
  readonly factored?: readonly FactoredWeights[];
  /** What the norm need not read of `gradients`, to which backward alone adds then; default nothing. */
  readonly squares?: GradientSquares | undefined;
  /** Of a shard: the place of its first element among all; default 0. What is drawn follows it. */
  readonly first?: number;
}

/** Or pieces of one, in order: a rank's, whose state lies piece after piece. */
export type Flat = FlatParameters | readonly FlatParameters[];

const isPieces = (flat: Flat): flat is readonly FlatParameters[] => Array.isArray(flat);

/** A piece, and where its first element lies in what is kept of all of them, piece after piece. */
export interface PlacedPiece extends FlatParameters {
  readonly at: number;
  readonly size: number;
}

export function piecesOf(flat: Flat): PlacedPiece[] {
  let at = 0;
  return (isPieces(flat) ? flat : [flat]).map((piece) => {
    const { weights, gradients, factored, first } = piece;
    const { size } = weights;
    at += size;
    return { weights, gradients, factored: factored ?? [], first: first ?? 0, at: at - size, size };
  });
}

/** The gradients, or ERR_CONFIG for a frozen model. */
export function gradientsOf(parameters: FlatParameters, what: string): Tensor {
  if (parameters.gradients === undefined)
    throw new SrpoError(
      "ERR_CONFIG",
      `${what}: parameters: expected trainable ones, got a frozen model`,
    );
  return parameters.gradients;
}
