import { modulatedLayerNorm } from "../../../ts/ops/index.js";
import { bytesOf } from "../../../ts/tensor/dtype.js";
import type { BenchCase } from "../../support/case.js";
import { callOf, input } from "../../support/inputs.js";

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
