import { modulatedLayerNorm } from "../../../ts/ops/index.js";
import { bytesOf } from "../../../ts/tensor/dtype.js";
import type { BenchCase } from "../../support/case.js";
import { callOf, directions, input, way } from "../../support/inputs.js";
import { hiddenOf, jointLength, type Sizes } from "../../support/sizes.js";

// FLUX.1-dev: 512 text tokens + (side / 16)^2 image tokens, 3072 channels.
const shapes = [{ B: 1, L: 2537, D: 3072, why: "720 x 720, the SRPO recipe" }];

export const cases: readonly BenchCase[] = shapes.flatMap(({ B, L, D, why }) =>
  (["float32", "bfloat16"] as const).flatMap((dtype) =>
    [false, true].map((backward) => ({
      name: `modulatedLayerNorm  ${dtype}  B=${B} L=${L} D=${D}  ${backward ? "forward+backward" : "forward"}`,
      why,
      // Memory bound: read x, write y; then read x and dy, write dx.
      bytes: (backward ? 5 : 2) * B * L * D * bytesOf[dtype],
      torch: { op: "layer_norm", x: [B, L, D], dtype, backward },
      setUp: () =>
        callOf(
          (x, scale, shift) => modulatedLayerNorm(x, scale, shift),
          [input([B, L, D], dtype), input([B, D], dtype), input([B, D], dtype)],
          { backward },
        ),
    })),
  ),
);

export const fluxCases = (sizes: Sizes): readonly BenchCase[] =>
  sizes.pictures.flatMap((picture) =>
    directions.map((backward): BenchCase => {
      const [L, D] = [jointLength(sizes, picture), hiddenOf(sizes)];
      const x = [1, L, D];
      return {
        name: `modulatedLayerNorm  bfloat16  B=1 L=${L} D=${D}  ${way(backward)}`,
        why: `adaLN, ${picture.name}`,
        bytes: (backward ? 5 : 2) * L * D * 2,
        torch: { op: "layer_norm", x, dtype: "bfloat16", backward },
        setUp: () =>
          callOf(
            (t, scale, shift) => modulatedLayerNorm(t, scale, shift),
            [input(x, "bfloat16"), input([1, D], "bfloat16"), input([1, D], "bfloat16")],
            { backward },
          ),
      };
    }),
  );
