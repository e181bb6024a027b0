import { attention } from "../../../ts/ops/index.js";
import type { BenchCase } from "../../support/case.js";
import { callOf, input } from "../../support/inputs.js";

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
