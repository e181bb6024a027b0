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
  for (const { parameter, offset, size } of parameters.ranges) {
    const gradient = release(parameters.gradients!.viewOf(offset, [size]));
    const norm = release(globalNorm(gradient));
    if (!Number.isFinite(await norm.item())) names.push(parameter.name);
    norm.dispose();
    gradient.dispose();
  }
  return names;
}
