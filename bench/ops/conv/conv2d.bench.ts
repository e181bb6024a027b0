import { conv2d } from "../../../ts/ops/index.js";
import type { BenchCase } from "../../support/case.js";
import { callOf, input } from "../../support/inputs.js";

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
