import { linear } from "../../../ts/ops/index.js";
import type { BenchCase } from "../../support/case.js";
import { callOf, input } from "../../support/inputs.js";

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
