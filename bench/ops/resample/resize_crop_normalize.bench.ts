import { resizeCropNormalize } from "../../../ts/ops/index.js";
import type { BenchCase } from "../../support/case.js";
import { callOf, directions, input, way } from "../../support/inputs.js";
import { fullOf, type Sizes } from "../../support/sizes.js";

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

export const fluxCases = (sizes: Sizes): readonly BenchCase[] =>
  sizes.pictures.flatMap((picture) =>
    directions.map((backward): BenchCase => {
      const factor = 2 ** (sizes.vae.channels.length - 1);
      const x = [1, picture.latentHeight * factor, picture.latentWidth * factor, 3];
      const { imageSize: size, mean, std } = sizes.reward.vision;
      return {
        name: `resizeCropNormalize  bfloat16  [${x.join(",")}] to ${size}  ${way(backward)}`,
        why: `a decoded picture before the reward, ${picture.name}`,
        bytes: (backward ? 2 : 1) * 2 * 3 * (x[1]! * x[2]! + size * size),
        torch: { op: "resize", x, size, dtype: "bfloat16", backward },
        ...fullOf(picture),
        setUp: () =>
          callOf((t) => resizeCropNormalize(t, { size, mean, std }), [input(x, "bfloat16")], {
            backward,
          }),
      };
    }),
  );
