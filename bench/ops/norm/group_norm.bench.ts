import { groupNorm } from "../../../ts/ops/index.js";
import { bytesOf } from "../../../ts/tensor/dtype.js";
import type { BenchCase } from "../../support/case.js";
import { callOf, directions, input, way } from "../../support/inputs.js";
import { fullOf, type Sizes } from "../../support/sizes.js";
import { decoderLevels } from "../conv/conv2d.bench.js";

const shapes = [
  { x: [1, 128, 128, 128], groups: 32, why: "a VAE resnet near the picture" },
  { x: [16, 64, 64, 16], groups: 8, why: "the micro VAE at full size" },
] as const;

export const cases: readonly BenchCase[] = shapes.flatMap(({ x, groups, why }) =>
  (["float32", "bfloat16"] as const).flatMap((dtype) =>
    [false, true].map((backward) => ({
      name: `groupNorm+silu  ${dtype}  [${x.join(",")}]  ${backward ? "forward+backward" : "forward"}`,
      why,
      // Memory bound: read x, write y; then read x and dy, write dx.
      bytes: (backward ? 5 : 2) * x[0] * x[1] * x[2] * x[3] * bytesOf[dtype],
      torch: { op: "group_norm", x, groups, dtype, backward },
      full: true,
      setUp: () =>
        callOf(
          (t, w, b) => groupNorm(t, w, b, { groups, act: "silu" }),
          [input(x, dtype), input([x[3]], dtype), input([x[3]], dtype)],
          { backward },
        ),
    })),
  ),
);

export const fluxCases = (sizes: Sizes): readonly BenchCase[] =>
  sizes.pictures.flatMap((picture) =>
    decoderLevels(sizes, picture).flatMap(({ x }) =>
      directions.map((backward): BenchCase => {
        const [B, H, W, C] = x;
        const { groups } = sizes.vae;
        return {
          name: `groupNorm+silu  bfloat16  [${x.join(",")}]  ${way(backward)}`,
          why: `a VAE resnet, ${picture.name}`,
          bytes: (backward ? 5 : 2) * B * H * W * C * 2,
          torch: { op: "group_norm", x, groups, dtype: "bfloat16", backward },
          ...fullOf(picture),
          setUp: () =>
            callOf(
              (t, w, b) => groupNorm(t, w, b, { groups, act: "silu" }),
              [input(x, "bfloat16"), input([C], "bfloat16"), input([C], "bfloat16")],
              { backward },
            ),
        };
      }),
    ),
  );
