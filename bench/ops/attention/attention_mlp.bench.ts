import { attention, attentionMlp, concat, linear } from "../../../ts/ops/index.js";
import type { DType } from "../../../ts/tensor/dtype.js";
import type { Tensor } from "../../../ts/tensor/tensor.js";
import type { BenchCase } from "../../support/case.js";
import { callOf, directions, input, way } from "../../support/inputs.js";
import { fullOf, hiddenOf, jointLength, type Sizes } from "../../support/sizes.js";

interface Shape {
  L: number;
  N: number;
  Dh: number;
  dtype: DType;
  why: string;
}

const forms = {
  "one op": ([q, k, v, x, w1, b1, w2, b2, residual, gate]: readonly Tensor[]) =>
    attentionMlp([q!, k!, v!], x!, [w1!, b1!], [w2!, b2!], {
      act: "gelu-tanh",
      residual: residual!,
      gate: gate!,
    }),
  "four ops": ([q, k, v, x, w1, b1, w2, b2, residual, gate]: readonly Tensor[]) => {
    const hidden = linear(x!, w1!, b1, { act: "gelu-tanh" });
    const both = concat([attention(q!, k!, v!), hidden], 2);
    return linear(both, w2!, b2, { residual: residual!, gate: gate! });
  },
} as const;

/** A FLUX single block behind its norm and q, k and v: as one op, and as those that it is made of. */
const casesOf = ({ L, N, Dh, dtype, why }: Shape): BenchCase[] => {
  const D = N * Dh;
  const [heads, tokens] = [
    [1, N, L, Dh],
    [1, L, D],
  ];
  return directions.flatMap((backward) =>
    (Object.keys(forms) as (keyof typeof forms)[]).map((form) => ({
      name: `attentionMlp  ${dtype}  L=${L} N=${N} Dh=${Dh}  ${way(backward)}  ${form}`,
      why,
      flops: 2 * L * D * 9 * D * (backward ? 3 : 1) + 4 * L * L * D * (backward ? 3.5 : 1),
      setUp: () => {
        const shapes = [heads, heads, heads, tokens, [4 * D, D], [4 * D], [D, 5 * D], [D], tokens];
        const inputs = [...shapes, [1, D]].map((shape) => input(shape, dtype));
        return callOf((...all) => forms[form](all), inputs, { backward });
      },
    })),
  );
};

export const cases: readonly BenchCase[] = (["float32", "bfloat16"] as const).flatMap((dtype) =>
  casesOf({ L: 1152, N: 12, Dh: 64, dtype, why: "a single block of the small flux" }),
);

export const fluxCases = (sizes: Sizes): readonly BenchCase[] =>
  sizes.pictures.flatMap((picture) =>
    casesOf({
      L: jointLength(sizes, picture),
      N: sizes.transformer.heads,
      Dh: hiddenOf(sizes) / sizes.transformer.heads,
      dtype: "bfloat16",
      why: picture.name,
    }).map((c) => ({ ...c, ...fullOf(picture) })),
  );
