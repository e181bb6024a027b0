import { backward } from "../../ts/autograd/backward.js";
import { noGrad } from "../../ts/autograd/tape.js";
import { fluxDev, type FluxConfig } from "../../ts/models/flux/config.js";
import { Flux } from "../../ts/models/flux/model.js";
import { fluxIds, fluxRope } from "../../ts/models/flux/positions.js";
import { initializeParameters } from "../../ts/nn/init.js";
import { synchronize } from "../../ts/tensor/device.js";
import { tensorScope } from "../../ts/tensor/scope.js";
import type { BenchCase } from "../support/case.js";
import { input } from "../support/inputs.js";

// A FLUX that two cores can run: everything of the real one but its size.
const small: FluxConfig = {
  ...fluxDev,
  heads: 12,
  headSize: 64,
  axes: [8, 28, 28],
  depth: 2,
  depthSingleBlocks: 4,
};
const [height, width, textLength] = [32, 32, 128];

function fluxCase(dtype: "float32" | "bfloat16", withBackward: boolean): BenchCase {
  return {
    name: `flux 768x(2+4)  ${dtype}  1024+128 tokens  ${withBackward ? "forward+backward" : "forward"}`,
    why: "the transformer as a whole, at a size that two cores run",
    ...(withBackward ? {} : { full: true }),
    torch: {
      op: "flux",
      hidden: 768,
      heads: 12,
      double: 2,
      single: 4,
      context: 4096,
      vector: 768,
      img: height * width,
      txt: textLength,
      dtype,
      backward: withBackward,
    },
    setUp: () => {
      const model = new Flux(small, { dtype, trainable: withBackward });
      initializeParameters(model.parameters, 1n);
      const pe = fluxRope(small, fluxIds({ textLength, height, width }));
      const inputs = {
        img: input([1, height * width, 64], dtype),
        txt: input([1, textLength, small.contextSize], dtype),
        pooled: input([1, small.vectorSize], dtype),
        sigma: [0.8],
        guidance: [3.5],
        pe,
      };
      const cotangent = input([1, height * width, 64], dtype);
      return async () => {
        {
          using scope = tensorScope();
          void scope;
          if (withBackward) {
            model.parameters.zeroGradients();
            backward(model.forward(inputs), cotangent);
          } else {
            noGrad(() => model.forward(inputs));
          }
        }
        await synchronize("cpu");
      };
    },
  };
}

export const cases: readonly BenchCase[] = (["float32", "bfloat16"] as const).flatMap((dtype) =>
  [false, true].map((withBackward) => fluxCase(dtype, withBackward)),
);
