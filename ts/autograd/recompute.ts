import { native, type Handle } from "../native/binding.js";
import { tensorScope } from "../tensor/scope.js";
import { Tensor } from "../tensor/tensor.js";
import { gradients } from "./backward.js";
import { asRecorded, isRecording, recordMany, withGrad, withLeaves } from "./tape.js";

/**
 * Runs a block without keeping what its ops save, and runs it once more in backward (activation
 * checkpointing): memory of the inputs and outputs only, for one more forward.
 *
 * `fn` must give the same result each time, and depend on its arguments and on leaves alone: a computed
 * tensor that it captured would get no gradient.
 */
export function recompute(
  fn: (...inputs: Tensor[]) => readonly Tensor[],
  ...inputs: readonly Tensor[]
): Tensor[] {
  if (!isRecording()) return tidyRun(fn, inputs);
  const { result: outputs, leaves } = withLeaves(() => asRecorded(() => tidyRun(fn, inputs)));
  return recordMany(
    "recompute",
    inputs,
    outputs.map((t) => t.handle),
    (dys) => {
      using scope = tensorScope();
      const again = inputs.map((x) => {
        const leaf = x.detach();
        leaf.requiresGrad = x.requiresGrad;
        return leaf;
      });
      const replayed = withGrad(() => fn(...again));
      const returned = gradients(replayed, dys, again);
      const results = again.map((leaf, i) => withBuffer(leaf, returned[i] ?? null));
      scope.keep(results.flatMap((handle) => (handle === null ? [] : [new Tensor(handle)])));
      return results;
    },
    { always: true, inside: leaves },
  );
}

/** An op that takes an input as a weight adds its gradient to the leaf's buffer instead of returning it. */
function withBuffer(leaf: Tensor, returned: Handle | null): Handle | null {
  if (leaf.grad === undefined) return returned;
  const added = native.cast(leaf.grad.handle, leaf.dtype);
  leaf.grad.dispose();
  return returned === null ? added : native.addForward(returned, added);
}

function tidyRun(
  fn: (...inputs: Tensor[]) => readonly Tensor[],
  inputs: readonly Tensor[],
): Tensor[] {
  using scope = tensorScope();
  const outputs = [...fn(...inputs)];
  scope.keep(outputs);
  return outputs;
}
