import { linear, linearPair } from "../../../ts/ops/index.js";
import type { Tensor } from "../../../ts/tensor/tensor.js";
import type { BenchCase } from "../../support/case.js";
import { callOf, directions, input, way } from "../../support/inputs.js";
import { fullOf, hiddenOf, imageLength, type Sizes } from "../../support/sizes.js";

interface Pair {
  M: readonly [number, number];
  N: number;
  K: number;
  act?: "none" | "gelu-tanh";
  /** residual + gate * y */
  gated?: boolean;
  what: string;
}

const streamOf = ([x, w, b, residual, gate]: readonly Tensor[]) => ({
  x: x!,
  w: w!,
  b: b!,
  residual: residual ?? null,
  gate: gate ?? null,
});

/** Both streams at once, and one after the other; torch has no way but the second. */
const casesOf = (
  { M, N, K, act = "none", gated = false, what }: Pair,
  full: { full?: true },
): BenchCase[] =>
  directions.flatMap((backward) =>
    (["at once", "in turn"] as const).map((form): BenchCase => {
      const fused = `${act === "none" ? "" : ` ${act}`}${gated ? " gate residual" : ""}`;
      return {
        name: `linear pair  bfloat16  M=${M.join("+")} N=${N} K=${K}${fused}  ${form}  ${way(backward)}`,
        why: what,
        flops: 2 * (M[0] + M[1]) * N * K * (backward ? 3 : 1),
        ...(form === "at once"
          ? { torch: { op: "linear_pair", M, N, K, dtype: "bfloat16", act, gated, backward } }
          : {}),
        ...full,
        setUp: () => {
          const of = (rows: number) =>
            [
              [rows, K],
              [N, K],
              [N],
              ...(gated
                ? [
                    [rows, N],
                    [1, N],
                  ]
                : []),
            ].map((shape) => input(shape, "bfloat16"));
          const inputs = M.flatMap(of);
          return callOf(
            (...all) => {
              const half = all.length / 2;
              const [a, b] = [streamOf(all.slice(0, half)), streamOf(all.slice(half))];
              if (form === "at once") return linearPair(a, b, { act });
              return [a, b].map(({ x, w, b: bias, ...end }) => linear(x, w, bias, { act, ...end }));
            },
            inputs,
            { backward },
          );
        },
      };
    }),
  );

export const cases: readonly BenchCase[] = casesOf(
  { M: [64, 20], N: 384, K: 128, what: "qkv of the micro policy, both streams of a sample" },
  {},
);

/** The products of a double block, image and text. */
export const fluxCases = (sizes: Sizes): readonly BenchCase[] => {
  const D = hiddenOf(sizes);
  const H = D * sizes.transformer.mlpRatio;
  return sizes.pictures.flatMap((picture) => {
    const M = [imageLength(picture), sizes.textLength] as const;
    const products: readonly Pair[] = [
      { M, N: 3 * D, K: D, what: "double qkv" },
      { M, N: D, K: D, gated: true, what: "double proj" },
      { M, N: H, K: D, act: "gelu-tanh", what: "double mlp up" },
      { M, N: D, K: H, gated: true, what: "double mlp down" },
    ];
    return products.flatMap((pair) =>
      casesOf({ ...pair, what: `${pair.what}, ${picture.name}` }, fullOf(picture)),
    );
  });
};
