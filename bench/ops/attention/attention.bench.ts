import { attention } from "../../../ts/ops/index.js";
import type { BenchCase } from "../../support/case.js";
import { callOf, directions, input, way } from "../../support/inputs.js";
import { fullOf, jointLength, type Sizes } from "../../support/sizes.js";

const shapes = [
  { q: [1, 12, 1152, 64], why: "CLIP-like heads" },
  { q: [1, 24, 1152, 128], why: "FLUX.1 at 512 px", full: true },
  { q: [16, 4, 84, 32], why: "the micro policy, 16 samples" },
  { q: [1, 1, 1024, 512], why: "the VAE's middle", full: true },
] as const;

export const cases: readonly BenchCase[] = shapes.flatMap(({ q, why, ...rest }) =>
  (["float32", "bfloat16"] as const).flatMap((dtype) =>
    [false, true].map((backward) => {
      const [B, N, L, Dh] = q;
      return {
        name: `attention  ${dtype}  B=${B} N=${N} L=${L} Dh=${Dh}  ${backward ? "forward+backward" : "forward"}`,
        why,
        flops: (backward ? 14 : 4) * B * N * L * L * Dh,
        torch: { op: "attention", q, dtype, backward },
        ...("full" in rest ? { full: true } : {}),
        setUp: () =>
          callOf(
            (a, b, c) => attention(a, b, c),
            [input(q, dtype), input(q, dtype), input(q, dtype)],
            { backward },
          ),
      };
    }),
  ),
);

const bfloat16 = "bfloat16";

function attentionCase(
  q: readonly number[],
  why: string,
  backward: boolean,
  full: { full?: true },
): BenchCase {
  const [B, N, L, Dh] = q as [number, number, number, number];
  return {
    name: `attention  bfloat16  B=${B} N=${N} L=${L} Dh=${Dh}  ${way(backward)}`,
    why,
    flops: (backward ? 14 : 4) * B * N * L * L * Dh,
    torch: { op: "attention", q, dtype: bfloat16, backward },
    ...full,
    setUp: () =>
      callOf(
        (a, b, c) => attention(a, b, c),
        [0, 1, 2].map(() => input(q, bfloat16)),
        { backward },
      ),
  };
}

/** The transformer's joint attention, the reward's image tower, the VAE's middle. */
export const fluxCases = (sizes: Sizes): readonly BenchCase[] => {
  const { transformer, reward, vae } = sizes;
  const { heads, headSize } = transformer;
  const { vision } = reward;
  const tokens = Math.trunc(vision.imageSize / vision.patchSize) ** 2 + 1;
  return directions.flatMap((backward) => [
    ...sizes.pictures.map((picture) =>
      attentionCase(
        [1, heads, jointLength(sizes, picture), headSize],
        picture.name,
        backward,
        // The larger one too: it is what the goals are set at.
        {},
      ),
    ),
    attentionCase(
      [1, vision.heads, tokens, vision.width / vision.heads],
      "the reward's image tower",
      backward,
      {},
    ),
    ...sizes.pictures.map((picture) =>
      attentionCase(
        [1, 1, picture.latentHeight * picture.latentWidth, vae.channels.at(-1)!],
        `the VAE's middle, ${picture.name}`,
        backward,
        fullOf(picture),
      ),
    ),
  ]);
};
