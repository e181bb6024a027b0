import { noGrad } from "../../../ts/autograd/tape.js";
import { linear, qkvNormRope, qkvProjection, ropeTable } from "../../../ts/ops/index.js";
import { tensorScope } from "../../../ts/tensor/scope.js";
import type { BenchCase } from "../../support/case.js";
import { benchDevice, input } from "../../support/inputs.js";
import { fullOf, hiddenOf, imageLength, jointLength, type Sizes } from "../../support/sizes.js";

interface Shape {
  lengths: readonly number[];
  N: number;
  Dh: number;
  D: number;
  why: string;
}

/** Nothing is differentiated: as one op, and as the two that it is made of. */
const casesOf = ({ lengths, N, Dh, D, why }: Shape): BenchCase[] =>
  (["one op", "two ops"] as const).map((form) => {
    const L = lengths.reduce((sum, length) => sum + length, 0);
    return {
      name: `qkvProjection  bfloat16  L=${lengths.join("+")} N=${N} Dh=${Dh} D=${D}  ${form}`,
      why,
      flops: 2 * L * 3 * N * Dh * D,
      setUp: () => {
        const dtype = "bfloat16";
        const positions = Float64Array.from({ length: L }, (_, l) => l);
        const rope = ropeTable(positions, [Dh], 10000, { device: benchDevice() });
        const [qScale, kScale] = [input([Dh], dtype), input([Dh], dtype)];
        const streams = lengths.map((length) => ({
          x: input([1, length, D], dtype),
          w: input([3 * N * Dh, D], dtype),
          b: input([3 * N * Dh], dtype),
        }));
        const options = { heads: N, rope };
        return () => {
          using scope = tensorScope();
          void scope;
          if (form === "one op")
            noGrad(() =>
              qkvProjection(
                streams.map((stream) => ({ ...stream, qScale, kScale })),
                options,
              ),
            );
          else
            qkvNormRope(
              streams.map(({ x, w, b }) => ({ qkv: linear(x, w, b), qScale, kScale })),
              options,
            );
        };
      },
    };
  });

export const cases: readonly BenchCase[] = casesOf({
  lengths: [20, 64],
  N: 4,
  Dh: 32,
  D: 128,
  why: "the micro policy",
});

/** A double block's two streams, and a single block's one. */
export const fluxCases = (sizes: Sizes): readonly BenchCase[] =>
  sizes.pictures.flatMap((picture) => {
    const { heads: N, headSize: Dh } = sizes.transformer;
    const D = hiddenOf(sizes);
    const streams = [[sizes.textLength, imageLength(picture)], [jointLength(sizes, picture)]];
    return streams.flatMap((lengths) =>
      casesOf({ lengths, N, Dh, D, why: picture.name }).map((c) => ({ ...c, ...fullOf(picture) })),
    );
  });
