import { native } from "../../../ts/native/binding.js";
import { linear } from "../../../ts/ops/index.js";
import { zeros } from "../../../ts/tensor/tensor.js";
import type { BenchCase } from "../../support/case.js";
import { benchDevice, callOf, directions, input, way } from "../../support/inputs.js";
import { fullOf, hiddenOf, imageLength, jointLength, type Sizes } from "../../support/sizes.js";

const shapes = [
  { M: 1024, N: 1024, K: 1024, why: "the usual square" },
  { M: 1152, N: 3072, K: 768, why: "qkv of a FLUX of hidden 768, 1024 + 128 tokens" },
  { M: 1152, N: 768, K: 3072, why: "its MLP's way back" },
  { M: 1344, N: 384, K: 128, why: "qkv of the micro policy, 16 samples" },
  { M: 4608, N: 9216, K: 3072, why: "qkv of FLUX.1-dev at 1024 x 1024", full: true },
];

export const cases: readonly BenchCase[] = shapes.flatMap(({ M, N, K, why, full }) =>
  (["float32", "bfloat16"] as const).flatMap((dtype) =>
    [false, true].map((backward) => ({
      name: `linear  ${dtype}  M=${M} N=${N} K=${K}  ${backward ? "forward+backward" : "forward"}`,
      why,
      flops: 2 * M * N * K * (backward ? 3 : 1),
      torch: { op: "linear", M, N, K, dtype, backward },
      ...(full === true || backward !== (M === 1152) ? { full: true } : {}),
      setUp: () =>
        callOf(
          (x, w, b) => linear(x, w, b),
          [input([M, K], dtype), input([N, K], dtype), input([N], dtype)],
          { backward },
        ),
    })),
  ),
);

interface Product {
  M: number;
  N: number;
  K: number;
  act?: "gelu-tanh";
  /** residual + gate * y */
  gated?: boolean;
  what: string;
}

/** dw += dyT x alone, and the same with what the norm then need not read again. */
function weightGradient({ M, N, K, what }: Product, squares: boolean): BenchCase {
  return {
    name: `linear  bfloat16  M=${M} N=${N} K=${K}  dw in float32${squares ? ", with squares" : ""}`,
    why: `gradient of ${what}`,
    flops: 2 * M * N * K,
    setUp: () => {
      const [dtype, device] = ["bfloat16", benchDevice()] as const;
      const [dy, x, w] = [input([M, N], dtype), input([M, K], dtype), input([N, K], dtype)];
      const dw = zeros([N, K], { device });
      const sums = squares ? zeros([Math.ceil(N / 16), Math.ceil(K / 64)], { device }) : undefined;
      return () => {
        native.linearBackward(
          dy.handle,
          x.handle,
          w.handle,
          null,
          null,
          "none",
          dw.handle,
          null,
          false,
          false,
          null,
          "none",
          sums?.handle ?? null,
          0,
        );
      };
    },
  };
}

/** The products of a double block's image stream and of a single block, with what is fused to them. */
export const fluxCases = (sizes: Sizes): readonly BenchCase[] => {
  const D = hiddenOf(sizes);
  const H = D * sizes.transformer.mlpRatio;
  return sizes.pictures.flatMap((picture) => {
    const [L, S] = [imageLength(picture), jointLength(sizes, picture)];
    const products: readonly Product[] = [
      { M: L, N: 3 * D, K: D, what: "double qkv" },
      { M: sizes.textLength, N: 3 * D, K: D, what: "double qkv of the text" },
      { M: sizes.rolloutSteps + 2, N: 6 * D, K: D, what: "a block's modulation, all steps" },
      { M: L, N: D, K: D, gated: true, what: "double proj" },
      { M: L, N: H, K: D, act: "gelu-tanh", what: "double mlp up" },
      { M: L, N: D, K: H, gated: true, what: "double mlp down" },
      { M: S, N: 3 * D, K: D, what: "single linear1, qkv rows" },
      { M: S, N: H, K: D, act: "gelu-tanh", what: "single linear1, mlp rows" },
      { M: S, N: D, K: D + H, gated: true, what: "single linear2" },
    ];
    const gradients = products
      .filter(({ N, K }) => N * K >= H * D)
      .flatMap((product) =>
        directions.map((squares) => ({
          ...weightGradient(product, squares),
          ...fullOf(picture),
        })),
      );
    const both = products.flatMap(({ M, N, K, act = "none" as const, gated = false, what }) =>
      directions.map((backward): BenchCase => {
        const fused = `${act === "none" ? "" : ` ${act}`}${gated ? " gate residual" : ""}`;
        return {
          name: `linear  bfloat16  M=${M} N=${N} K=${K}${fused}  ${way(backward)}`,
          why: `${what}, ${picture.name}`,
          flops: 2 * M * N * K * (backward ? 3 : 1),
          torch: { op: "linear", M, N, K, dtype: "bfloat16", act, gated, backward },
          ...fullOf(picture),
          setUp: () => {
            const dtype = "bfloat16";
            const inputs = [input([M, K], dtype), input([N, K], dtype), input([N], dtype)];
            if (gated) inputs.push(input([M, N], dtype), input([1, N], dtype));
            return callOf(
              (x, w, b, residual, gate) =>
                linear(x, w, b, { act, residual: residual ?? null, gate: gate ?? null }),
              inputs,
              { backward },
            );
          },
        };
      }),
    );
    return [...both, ...gradients];
  });
};
