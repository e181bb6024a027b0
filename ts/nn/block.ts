import { isRecording } from "../autograd/tape.js";
import { recompute } from "../autograd/recompute.js";
import { range } from "../native/ranges.js";
import { tidy } from "../tensor/scope.js";
import type { Tensor } from "../tensor/tensor.js";

export interface BlockOptions {
  /** In a profile: "double_blocks.3". */
  name: string;
  /** Keep only inputs and outputs, and run the block again in backward. */
  recompute: boolean;
  /** Whether the block's own weights take gradients. */
  trainable: boolean;
  /** Tensors that nothing needs after this block unless the tape does. */
  spent?: readonly Tensor[];
}

/**
 * Runs one block of a model: recorded as it is, recorded for recomputation, or, where no gradient is
 * wanted, with everything but its outputs freed at once.
 */
export function runBlock(
  block: (...inputs: Tensor[]) => readonly Tensor[],
  inputs: readonly Tensor[],
  options: BlockOptions,
): readonly Tensor[] {
  return range(options.name, () => runAsWanted(block, inputs, options));
}

function runAsWanted(
  block: (...inputs: Tensor[]) => readonly Tensor[],
  inputs: readonly Tensor[],
  { recompute: again, trainable, spent = [] }: BlockOptions,
): readonly Tensor[] {
  const recorded = isRecording() && (trainable || inputs.some((x) => x.requiresGrad));
  if (recorded) return again ? recompute(block, ...inputs) : block(...inputs);
  const outputs = tidy(() => block(...inputs));
  for (const t of spent) if (!outputs.includes(t)) t.dispose();
  return outputs;
}
