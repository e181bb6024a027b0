// Define-by-run differentiation. An op's wrapper calls its native forward, then `record`, with the
// gradient beneath it. Nothing is recorded when no input needs a gradient.
import { native, type Handle } from "../native/binding.js";
import { SrpoError } from "../native/error.js";
import { rangePath, type RangePath } from "../native/ranges.js";
import { Tensor, type Producer } from "../tensor/tensor.js";

/** The gradient of one input; null if there is none or the op has added it to the leaf itself. */
export type Gradient = Handle | null;

export interface TapeNode extends Producer {
  readonly name: string;
  readonly inputs: readonly Tensor[];
  /** Leaves that its backward adds to although they are not among its inputs. */
  readonly inside?: ReadonlySet<Tensor> | undefined;
  /** The stage of a profile that it was recorded in. */
  readonly range: RangePath | undefined;
  /** One gradient an input, from one gradient an output (undefined where nothing used that output). */
  readonly backward: (dys: readonly (Handle | undefined)[]) => readonly Gradient[];
}

let nextId = 1;
let recording = true;
let recordedBits = false;

/** Whether ops record at all; false inside `noGrad`. */
export function isRecording(): boolean {
  return recording;
}

/** Runs `fn` without recording: a rollout pays nothing for the tape. */
export function noGrad<T>(fn: () => T): T {
  const before = recording;
  recording = false;
  try {
    return fn();
  } finally {
    recording = before;
  }
}

/** `noGrad` with the bits of a recorded forward: for what is compared with one, or done again as one. */
export function asRecorded<T>(fn: () => T): T {
  const before = recordedBits;
  recordedBits = true;
  try {
    return noGrad(fn);
  } finally {
    recordedBits = before;
  }
}

/** Whether an op gives the bits that it has when it is recorded, even if it could round less without. */
export function givesRecordedBits(): boolean {
  return recording || recordedBits;
}

/** Runs `fn` with recording on, whatever surrounds it. */
export function withGrad<T>(fn: () => T): T {
  const before = recording;
  recording = true;
  try {
    return fn();
  } finally {
    recording = before;
  }
}

/** Whether an op on these inputs will be recorded, so that it should save what backward needs. */
export function needsGradient(...inputs: readonly (Tensor | null | undefined)[]): boolean {
  return recording && inputs.some((x) => x?.requiresGrad === true);
}

/** Sees what ops give: their name, and their outputs or (in backward) the gradients of their inputs. */
export type Watcher = (name: string, outputs: readonly (Handle | null)[]) => void;

let watcher: Watcher | undefined;

/** Calls `see` for every op until the returned handle is disposed of: to find where a number went wrong. */
export function watchOps(see: Watcher): Disposable {
  const before = watcher;
  watcher = see;
  return {
    [Symbol.dispose]() {
      watcher = before;
    },
  };
}

/** Tells the watcher, if there is one. */
export function tellWatcher(name: string, outputs: readonly (Handle | null)[]): void {
  watcher?.(name, outputs);
}

let used: Set<Tensor> | undefined;

/** Runs `fn`, and tells the leaves that ops in it were given, recorded or not. */
export function withLeaves<T>(fn: () => T): { result: T; leaves: ReadonlySet<Tensor> } {
  const before = used;
  const leaves = new Set<Tensor>();
  used = leaves;
  try {
    return { result: fn(), leaves };
  } finally {
    used = before;
    for (const leaf of leaves) before?.add(leaf);
  }
}

const isLeaf = (x: Tensor) => x.requiresGrad && x.producer === undefined;

/** The leaves that a node's backward adds to. */
export function leavesOf({ inputs, inside }: TapeNode): Tensor[] {
  return [...inputs.filter(isLeaf), ...(inside ?? [])];
}

function recordNode(
  name: string,
  inputs: readonly (Tensor | null | undefined)[],
  outputs: readonly Handle[],
  backward: TapeNode["backward"],
  { always = false, inside }: { always?: boolean; inside?: TapeNode["inside"] } = {},
): Tensor[] {
  watcher?.(name, outputs);
  if (used !== undefined) for (const x of inputs) if (x && isLeaf(x)) used.add(x);
  const tensors = outputs.map((handle) => new Tensor(handle));
  if (always ? !recording : !needsGradient(...inputs)) return tensors;
  // A missing optional input keeps its place, so that gradients line up.
  const present = inputs.map((x) => x ?? absent);
  const node: TapeNode = {
    id: nextId++,
    name,
    inputs: present,
    inside,
    range: rangePath(),
    backward,
  };
  tensors.forEach((t, index) => {
    t.requiresGrad = true;
    t.producer = node;
    t.outputIndex = index;
  });
  return tensors;
}

const absent = { requiresGrad: false, producer: undefined } as unknown as Tensor;

/**
 * Wraps an op's output and, if an input needs a gradient, records how to get it.
 *
 * @param backward - from the output's gradient, one gradient an input in their order
 */
export function record(
  name: string,
  inputs: readonly (Tensor | null | undefined)[],
  output: Handle,
  backward: (dy: Handle) => readonly Gradient[],
): Tensor {
  const [y] = recordNode(name, inputs, [output], ([dy]) => backward(dy!));
  return y!;
}

/** `record` for an op of several outputs; an output that nothing used has gradient undefined. */
export function recordMany(
  name: string,
  inputs: readonly (Tensor | null | undefined)[],
  outputs: readonly Handle[],
  backward: TapeNode["backward"],
  options: { always?: boolean; inside?: TapeNode["inside"] } = {},
): Tensor[] {
  return recordNode(name, inputs, outputs, backward, options);
}

/** The buffer that a leaf's gradient is added to, its own dtype; made on first use, float32 zeros if the leaf makes none. */
export function gradientBuffer(leaf: Tensor): Tensor {
  leaf.squares?.lose();
  return bufferOf(leaf);
}

function bufferOf(leaf: Tensor): Tensor {
  if (leaf.factors !== undefined)
    throw new SrpoError(
      "ERR_GRADIENT",
      `backward: expected only linear, without activation and gate, on a weight whose gradient is kept as factors, got another op on [${leaf.shape.join(", ")}]`,
    );
  leaf.grad ??= leaf.gradientFrom?.();
  if (leaf.grad === undefined) {
    leaf.grad = new Tensor(native.tensorZeros(leaf.shape, "float32", leaf.device));
    native.scopeRelease([leaf.grad.handle]);
  }
  return leaf.grad;
}

/**
 * Where an op's backward adds a weight's gradient (float32): `into` is the leaf's own buffer, or a
 * fresh one for a computed weight and for a leaf whose buffer is bfloat16, or null if none is wanted;
 * `result` is what backward returns for it, which is then added to the leaf.
 *
 * @param options.bfloat16 - whether the op adds to a bfloat16 buffer by itself: for weights so large that
 *   a float32 gradient beside it would count
 * @param options.squares - whether the op leaves the squares of what the buffer then holds: `squares` says
 *   where, if they are wanted
 */
export function weightGradient(
  w: Tensor | null | undefined,
  { bfloat16 = false, squares = false }: { bfloat16?: boolean; squares?: boolean } = {},
): {
  into: Handle | null;
  result: Gradient;
  squares: Handle | null;
} {
  if (w?.requiresGrad !== true) return { into: null, result: null, squares: null };
  if (w.producer === undefined) {
    const sums = squares ? w.squares?.handle : undefined;
    const buffer = sums === undefined ? gradientBuffer(w) : bufferOf(w);
    if (bfloat16 || buffer.dtype === "float32")
      return { into: buffer.handle, result: null, squares: sums ?? null };
  }
  const fresh = native.tensorZeros(w.shape, "float32", w.device);
  return { into: fresh, result: fresh, squares: null };
}

/** The same memory under a second handle, for a backward that passes its gradient on. */
export function alias(handle: Handle): Handle {
  return native.tensorView(handle, 0, native.tensorShape(handle));
}

/** A gradient that a backward was given, or zeros like the output that nothing used. */
export function gradientOrZeros(dy: Handle | undefined, like: Handle): Handle {
  return (
    dy ??
    native.tensorZeros(
      native.tensorShape(like),
      native.tensorDType(like),
      native.tensorDevice(like),
    )
  );
}

/** Marks a tensor as a leaf whose gradient is wanted. Returns it. */
export function requireGrad(leaf: Tensor): Tensor {
  if (leaf.producer !== undefined)
    throw new SrpoError("ERR_GRADIENT", "requireGrad: expected a leaf, got an op's output");
  leaf.requiresGrad = true;
  return leaf;
}
