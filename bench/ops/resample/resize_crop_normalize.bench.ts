import { resizeCropNormalize } from "../../../ts/ops/index.js";
import type { BenchCase } from "../../support/case.js";
import { callOf, input } from "../../support/inputs.js";

const x = [1, 720, 720, 3] as const;
const normal = { mean: [0.45, 0.45, 0.45], std: [0.27, 0.27, 0.27] };

export const cases: readonly BenchCase[] = (["float32", "bfloat16"] as const).flatMap((dtype) =>
  [false, true].map((backward) => ({
    name: `resizeCropNormalize  ${dtype}  [${x.join(",")}] to 224  ${backward ? "forward+backward" : "forward"}`,
    why: "a decoded picture before the reward",
    torch: { op: "resize", x, size: 224, dtype, backward },
    full: true,
    setUp: () =>
      callOf((t) => resizeCropNormalize(t, { size: 224, ...normal }), [input(x, dtype)], {
        backward,
      }),
  })),
);
