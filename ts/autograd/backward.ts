import { native, type Handle } from "../native/binding.js";
import { SrpoError } from "../native/error.js";
import { rangeAgain } from "../native/ranges.js";
import type { Tensor } from "../tensor/tensor.js";
import { leavesOf, alias, gradientBuffer, noGrad, tellWatcher, type TapeNode } from "./tape.js";

/** Follows the leaves through a backward. */
export interface LeafWatch {
  /** Those that it may add to, before it does. */
  begin(leaves: readonly Tensor[]): void;
  /** One whose gradient is whole, if there is any: nothing of this backward adds to it any more. */
  done(leaf: Tensor): void;
}

/** The leaves by the last node, in the order of backward, that adds to them. */
function lastUses(nodes: readonly TapeNode[]): Map<TapeNode, Tensor[]> {
  const last = new Map<Tensor, TapeNode>();
  for (const node of nodes) for (const leaf of leavesOf(node)) last.set(leaf, node);
  const uses = new Map<TapeNode, Tensor[]>();
  for (const [leaf, node] of last) uses.set(node, [...(uses.get(node) ?? []), leaf]);
  return uses;
}

function nodesAbove(roots: readonly Tensor[], stop: ReadonlySet<Tensor>): TapeNode[] {
  const seen = new Set<TapeNode>();
  const stack = roots.flatMap((t) => (t.producer && !stop.has(t) ? [t.producer as TapeNode] : []));
  for (let node = stack.pop(); node !== undefined; node = stack.pop()) {
    if (seen.has(node)) continue;
    seen.add(node);
    for (const input of node.inputs)
      if (input.producer && !stop.has(input)) stack.push(input.producer as TapeNode);
  }
  // An op is recorded after its inputs: descending order meets every user of an output before its maker.
  return [...seen].sort((a, b) => b.id - a.id);
}

/**
 * Sum of <output, cotangent> differentiated: gradients of leaves are added to their buffers, gradients
 * of `wanted` tensors (where the walk stops) are returned, null where none flowed.
 */
export function gradients(
  outputs: readonly Tensor[],
  cotangents: readonly (Handle | undefined)[],
  wanted: readonly Tensor[] = [],
  watch?: LeafWatch,
): (Handle | null)[] {
  const stop = new Set(wanted);
  const ofNode = new Map<TapeNode, (Handle | undefined)[]>();
  const ofWanted = new Map<Tensor, Handle>();
  const mine = new Set<Handle>(); // gradients made here, to be freed once used

  const sum = (a: Handle | undefined, b: Handle): Handle => {
    if (a === undefined) return b;
    const total = native.addForward(a, b);
    mine.add(total);
    for (const part of [a, b]) if (mine.delete(part)) native.tensorDispose(part);
    return total;
  };
  const deliver = (to: Tensor, gradient: Handle): void => {
    if (stop.has(to)) {
      ofWanted.set(to, sum(ofWanted.get(to), gradient));
    } else if (to.producer === undefined) {
      native.accumulate(gradientBuffer(to).handle, gradient);
      if (mine.delete(gradient)) native.tensorDispose(gradient);
    } else {
      const node = to.producer as TapeNode;
      const slots = ofNode.get(node) ?? [];
      slots[to.outputIndex] = sum(slots[to.outputIndex], gradient);
      ofNode.set(node, slots);
    }
  };

  const before = new Set<Handle>();
  noGrad(() => {
    outputs.forEach((output, i) => {
      const cotangent = cotangents[i];
      if (cotangent === undefined || !output.requiresGrad) return;
      before.add(cotangent);
      deliver(output, cotangent);
    });
    const propagate = (node: TapeNode): void => {
      const dys = ofNode.get(node);
      if (dys === undefined) return;
      ofNode.delete(node);
      const results = rangeAgain(node.range, () => node.backward(dys));
      tellWatcher(`${node.name}, backward`, results);
      node.inputs.forEach((input, i) => {
        let result = results[i] ?? null;
        if (result === null || !input.requiresGrad) {
          if (result !== null && !before.has(result)) native.tensorDispose(result);
          return;
        }
        mine.add(result);
        if (input.producer !== undefined && native.tensorDType(result) !== input.dtype) {
          const cast = native.cast(result, input.dtype);
          if (mine.delete(result)) native.tensorDispose(result);
          mine.add(cast);
          result = cast;
        }
        deliver(input, result);
      });
      for (const dy of dys) if (dy !== undefined && mine.delete(dy)) native.tensorDispose(dy);
    };
    const nodes = nodesAbove(outputs, stop);
    const last = watch === undefined ? undefined : lastUses(nodes);
    if (last !== undefined) watch!.begin([...last.values()].flat());
    for (const node of nodes) {
      propagate(node);
      for (const leaf of last?.get(node) ?? []) watch!.done(leaf);
    }
  });
  return wanted.map((t) => {
    const gradient = ofWanted.get(t) ?? null;
    return gradient !== null && before.has(gradient) ? alias(gradient) : gradient;
  });
}

/**
 * Adds the gradient of `loss` (or of <output, cotangent>) to the `grad` of every leaf it depends on.
 *
 * @param loss - a tensor of one element, or with `cotangent` any tensor
 * @param cotangent - shape and dtype of `loss`; default 1
 * @param watch - may take a leaf's gradient away once it is done, to begin a new one
 * @throws SrpoError ERR_SHAPE for a loss of several elements without a cotangent; ERR_GRADIENT if
 *   nothing the loss depends on needs a gradient
 */
export function backward(loss: Tensor, cotangent?: Tensor, watch?: LeafWatch): void {
  if (!loss.requiresGrad)
    throw new SrpoError(
      "ERR_GRADIENT",
      "backward: loss: expected one that depends on a leaf with requiresGrad, got none",
    );
  if (cotangent === undefined && loss.size !== 1)
    throw new SrpoError(
      "ERR_SHAPE",
      `backward: loss: expected one element, got [${loss.shape.join(", ")}]`,
    );
  const one =
    cotangent?.handle ??
    native.cast(
      native.tensorFrom(new Float32Array([1]), loss.shape, "float32", loss.device),
      loss.dtype,
    );
  gradients([loss], [one], [], watch);
}
