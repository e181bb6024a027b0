import { noGrad } from "../autograd/tape.js";
import { affine, cast, purposes, randn } from "../ops/index.js";
import { tensorScope } from "../tensor/scope.js";
import { zeros } from "../tensor/tensor.js";
import type { ParameterSet } from "./parameter_set.js";

/** Fills a new model's parameters as they are declared: normal numbers of a seed, ones and zeros. */
export function initializeParameters(set: ParameterSet, seed: bigint): void {
  noGrad(() => {
    set.ranges.forEach(({ parameter, offset, size }, place) => {
      using scope = tensorScope();
      void scope;
      const { init } = parameter;
      const numbers =
        init.kind === "normal"
          ? affine(
              randn([size], {
                seed,
                purpose: purposes.initWeights,
                step: 0,
                sample: place,
                device: set.device,
              }),
              init.deviation,
              0,
            )
          : affine(zeros([size], { device: set.device }), 0, init.kind === "ones" ? 1 : 0);
      set.weights.viewOf(offset, [size]).copyFrom(cast(numbers, set.dtype));
    });
  });
}
