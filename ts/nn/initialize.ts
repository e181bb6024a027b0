import { cast, fill, purposes, randn, scale } from "../ops/index.js";
import { tidy } from "../tensor/scope.js";
import type { ParameterSet } from "./parameter_set.js";

/**
 * Gives every parameter its declared start. Parameter i is drawn as sample i of `purposes.initWeights`, so
 * that a seed means the same weights on every device.
 */
export function initialize(set: ParameterSet, { seed }: { seed: bigint }): void {
  set.ranges.forEach(({ parameter: { name, shape, init } }, sample) => {
    const weight = set.get(name);
    if (init.kind !== "normal") {
      fill(weight.detach(), init.kind === "ones" ? 1 : 0);
      return;
    }
    tidy(() => {
      const draw = { seed, purpose: purposes.initWeights, step: 0, sample, device: set.device };
      const values = cast(scale(randn(shape, draw), init.deviation), set.dtype);
      weight.copyFrom(values);
      return [];
    });
  });
}
