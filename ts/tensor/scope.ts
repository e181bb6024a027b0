import { native, type Handle } from "../native/binding.js";
import type { Tensor } from "./tensor.js";

/** Frees, at its end, what was made since it began; see `tensorScope`. */
export interface TensorScope extends Disposable {
  /** Hands tensors to the enclosing scope when this one ends. Returns its first argument. */
  keep<T extends Tensor | readonly Tensor[]>(kept: T): T;
}

/**
 * Opens a scope: every tensor made until its end, those that ops save for backward included, belongs to
 * it and is freed with it, but for what `keep` was given.
 *
 *     using scope = tensorScope();
 *     const y = model.forward(x);
 *     return scope.keep(y);
 *
 * Scopes nest, and end in the reverse of their order (ERR_SCOPE otherwise): one sequence of awaits
 * may hold them open, two that run side by side may not.
 */
export function tensorScope(): TensorScope {
  const depth = native.scopeBegin();
  const kept: Handle[] = [];
  let open = true;
  return {
    keep(tensors) {
      for (const t of Array.isArray(tensors) ? (tensors as readonly Tensor[]) : [tensors as Tensor])
        kept.push(t.handle);
      return tensors;
    },
    [Symbol.dispose]() {
      if (!open) return;
      native.scopeEnd(depth, kept);
      open = false;
    },
  };
}

/** Runs `fn` in a scope of its own and keeps what it returns. */
export function tidy<T extends Tensor | readonly Tensor[]>(fn: () => T): T {
  using scope = tensorScope();
  return scope.keep(fn());
}

/** Takes tensors out of every open scope: they live until disposed of or collected. */
export function release<T extends Tensor | readonly Tensor[]>(tensors: T): T {
  const all = Array.isArray(tensors) ? (tensors as readonly Tensor[]) : [tensors as Tensor];
  native.scopeRelease(all.map((t) => t.handle));
  return tensors;
}
