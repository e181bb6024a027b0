import { gradients } from "../../../ts/autograd/backward.js";
import { qkvNormRope, ropeTable } from "../../../ts/ops/index.js";
import { bytesOf } from "../../../ts/tensor/dtype.js";
import { tensorScope } from "../../../ts/tensor/scope.js";
import type { BenchCase } from "../../support/case.js";
import { benchDevice, directions, input, way } from "../../support/inputs.js";
import { imageLength, type Sizes } from "../../support/sizes.js";

const shapes = [
  { Ltxt: 128, Limg: 1024, N: 24, Dh: 128, why: "FLUX.1 at 512 px" },
  { Ltxt: 20, Limg: 64, N: 4, Dh: 32, why: "the micro policy" },
];

interface Shape {
  Ltxt: number;
  Limg: number;
  N: number;
  Dh: number;
  why: string;
}

function casesOf(
  { Ltxt, Limg, N, Dh, why }: Shape,
  dtypes: readonly ("float32" | "bfloat16")[],
): BenchCase[] {
  return dtypes.flatMap((dtype) =>
    directions.map((backward) => ({
      name: `qkvNormRope  ${dtype}  L=${Ltxt}+${Limg} N=${N} Dh=${Dh}  ${way(backward)}`,
      why,
      torch: { op: "qkv_norm_rope", txt: Ltxt, img: Limg, N, Dh, dtype, backward },
      // Memory bound: read qkv, write q, k and v; then read those gradients and qkv's q and k, write dqkv.
      bytes: (backward ? 14 : 6) * (Ltxt + Limg) * N * Dh * bytesOf[dtype],
      setUp: () => {
        const L = Ltxt + Limg;
        const positions = Float64Array.from({ length: L }, (_, l) => l);
        const rope = ropeTable(positions, [Dh], 10000, { device: benchDevice() });
        const [qScale, kScale] = [input([Dh], dtype), input([Dh], dtype)];
        const qkvs = [Ltxt, Limg].map((length) => input([1, length, 3 * N * Dh], dtype));
        if (backward) for (const qkv of qkvs) qkv.requiresGrad = true;
        const d = [0, 1, 2].map(() => input([1, N, L, Dh], dtype).handle);
        return () => {
          using scope = tensorScope();
          void scope;
          const streams = qkvs.map((qkv) => ({ qkv, qScale, kScale }));
          const outputs = qkvNormRope(streams, { heads: N, rope });
          if (backward) gradients(outputs, d, qkvs);
        };
      },
    })),
  );
}

export const cases: readonly BenchCase[] = shapes.flatMap((shape) =>
  casesOf(shape, ["float32", "bfloat16"]),
);

/** Both streams of a double block. */
export const fluxCases = (sizes: Sizes): readonly BenchCase[] =>
  sizes.pictures.flatMap((picture) => {
    const { heads: N, headSize: Dh } = sizes.transformer;
    const [Ltxt, Limg] = [sizes.textLength, imageLength(picture)];
    return casesOf({ Ltxt, Limg, N, Dh, why: picture.name }, ["bfloat16"]);
  });
