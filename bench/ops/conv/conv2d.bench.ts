import { conv2d, conv2dWithStatistics, groupNorm } from "../../../ts/ops/index.js";
import type { BenchCase } from "../../support/case.js";
import { callOf, directions, input } from "../../support/inputs.js";
import { fullOf, type PictureSize, type Sizes } from "../../support/sizes.js";

const shapes = [
  { x: [1, 64, 64, 128], out: 128, why: "a VAE resnet near the picture" },
  { x: [1, 32, 32, 512], out: 512, why: "a VAE resnet near the latents" },
  { x: [16, 16, 16, 64], out: 64, why: "the micro VAE, 16 samples" },
  { x: [16, 64, 64, 16], out: 16, why: "the micro VAE at full size", full: true },
  { x: [1, 16, 16, 512], out: 512, upsample: true, why: "a VAE upsampler", full: true },
] as const;

export const cases: readonly BenchCase[] = shapes.flatMap(({ x, out, why, ...rest }) =>
  (["float32", "bfloat16"] as const).flatMap((dtype) =>
    [false, true].map((backward) => {
      const [B, H, W, C] = x;
      const upsample = "upsample" in rest;
      const form = `[${x.join(",")}]${upsample ? " doubled " : ""}->${out} 3x3`;
      return {
        name: `conv2d  ${dtype}  ${form}  ${backward ? "forward+backward" : "forward"}`,
        why,
        // Of the definition; an upsampled one is done with fewer.
        flops: 2 * B * H * W * C * out * 9 * (upsample ? 4 : 1) * (backward ? 3 : 1),
        torch: { op: "conv2d", x, out, kernel: 3, upsample, dtype, backward },
        ...("full" in rest || !backward ? { full: true } : {}),
        setUp: () =>
          callOf(
            (t, w, b) => conv2d(t, w, b, { upsample }),
            [input(x, dtype), input([out, 3, 3, C], dtype), input([out], dtype)],
            { backward },
          ),
      };
    }),
  ),
);

type Place = [B: number, H: number, W: number, C: number];

/** The decoder's resolutions from the latents up: what a resnet there works on. */
export function decoderLevels(
  { vae }: Sizes,
  { latentHeight, latentWidth }: PictureSize,
): { x: Place }[] {
  return vae.channels.toReversed().map((C, level) => ({
    x: [1, latentHeight << level, latentWidth << level, C],
  }));
}

/** A decoder's weights do not learn: forward, and backward to its input alone. */
const convolutions = (sizes: Sizes): readonly BenchCase[] =>
  sizes.pictures.flatMap((picture) =>
    decoderLevels(sizes, picture).flatMap(({ x }, level) =>
      [false, true].flatMap((upsample): BenchCase[] => {
        const [B, H, W, C] = x;
        if (upsample && level === sizes.vae.channels.length - 1) return [];
        const form = `[${x.join(",")}]${upsample ? " doubled " : ""}->${C} 3x3`;
        return directions.map((backward) => ({
          name: `conv2d  bfloat16  ${form}  ${backward ? "forward+dgrad" : "forward"}`,
          why: `a VAE ${upsample ? "upsampler" : "resnet"}, ${picture.name}`,
          flops: 2 * B * H * W * C * C * 9 * (upsample ? 4 : 1) * (backward ? 2 : 1),
          torch: {
            op: "conv2d",
            x,
            out: C,
            kernel: 3,
            upsample,
            dtype: "bfloat16",
            backward,
            frozen: true,
          },
          ...fullOf(picture),
          setUp: () => {
            const w = input([C, 3, 3, C], "bfloat16");
            const b = input([C], "bfloat16");
            return callOf((t) => conv2d(t, w, b, { upsample }), [input(x, "bfloat16")], {
              backward,
            });
          },
        }));
      }),
    ),
  );

/** What a resnet runs: the norm reads what the convolution wrote, and its statistics. */
const beforeNorms = (sizes: Sizes): readonly BenchCase[] =>
  sizes.pictures.flatMap((picture) =>
    decoderLevels(sizes, picture).map(({ x }): BenchCase => {
      const [B, H, W, C] = x;
      const { groups } = sizes.vae;
      return {
        name: `conv2d and the norm behind it  bfloat16  [${x.join(",")}]->${C} 3x3  forward`,
        why: `a VAE resnet, statistics from the convolution, ${picture.name}`,
        flops: 2 * B * H * W * C * C * 9,
        torch: { op: "conv2d", x, out: C, kernel: 3, groups, dtype: "bfloat16" },
        ...fullOf(picture),
        setUp: () =>
          callOf(
            (t, w, b) => {
              const { y, statistics } = conv2dWithStatistics(t, w, b, { groups });
              return groupNorm(y, b, b, { groups, act: "silu", statistics });
            },
            [input(x, "bfloat16"), input([C, 3, 3, C], "bfloat16"), input([C], "bfloat16")],
            { backward: false },
          ),
      };
    }),
  );

export const fluxCases = (sizes: Sizes): readonly BenchCase[] => [
  ...convolutions(sizes),
  ...beforeNorms(sizes),
];
