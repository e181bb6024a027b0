import { watchOps } from "../autograd/tape.js";
import { native, type Handle } from "../native/binding.js";
import type { ParameterSet } from "../nn/parameter_set.js";
import { globalNorm } from "../ops/index.js";
import { release } from "../tensor/scope.js";
import { Tensor } from "../tensor/tensor.js";

/**
 * Runs something once more and finds the first op in it whose output, or whose gradient, was not finite.
 *
 * @returns "linear" or "linear, backward" with its shape; undefined if every op's output was finite
 */
export async function firstNotFinite(again: () => Promise<void>): Promise<string | undefined> {
  const seen: { what: string; finite: Promise<boolean> }[] = [];
  const see = (name: string, outputs: readonly (Handle | null)[]): void => {
    for (const handle of outputs) {
      if (handle === null || !native.tensorDType(handle).includes("float")) continue;
      const norm = release(new Tensor(native.globalNorm(handle)));
      const finite = norm.item().then(Number.isFinite, () => true);
      seen.push({ what: `${name}, [${native.tensorShape(handle).join(", ")}]`, finite });
      void finite.then(() => norm.dispose());
    }
  };
  {
    using watching = watchOps(see);
    void watching;
    await again();
  }
  for (const { what, finite } of seen) if (!(await finite)) return what;
  return undefined;
}

/** The names of the parameters whose gradients are not finite. */
export async function parametersNotFinite(parameters: ParameterSet): Promise<string[]> {
  const names: string[] = [];
  if (parameters.gradients === undefined) return names; // they have passed
  const { gradients, factored } = parameters;
  for (const { parameter, offset, size } of parameters.ranges) {
    const { factors } = factored.find((one) => one.parameter === parameter) ?? {};
    const parts =
      factors === undefined
        ? [release(gradients.viewOf(offset, [size]))]
        : factors.parts.flatMap(({ dy, x }) => [dy, x].map((t) => release(t.detach())));
    let finite = true;
    for (const part of parts) {
      const norm = release(globalNorm(part));
      finite &&= Number.isFinite(await norm.item());
      norm.dispose();
      part.dispose();
    }
    if (!finite) names.push(parameter.name);
  }
  return names;
}
