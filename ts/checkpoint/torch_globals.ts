// The globals that PyTorch's own checkpoints of tensors name, and what each becomes: plain values. Nothing is
// imported, called or constructed; a name that is not here is refused.
import type { FileDType } from "./file_dtype.js";
import {
  kindOf,
  tupleItems,
  type GlobalValue,
  type PickleValue,
  type StorageValue,
} from "./pickle_values.js";

const storages: Readonly<Record<string, FileDType>> = {
  "torch.DoubleStorage": "F64",
  "torch.FloatStorage": "F32",
  "torch.HalfStorage": "F16",
  "torch.BFloat16Storage": "BF16",
  "torch.LongStorage": "I64",
  "torch.IntStorage": "I32",
  "torch.ShortStorage": "I16",
  "torch.CharStorage": "I8",
  "torch.ByteStorage": "U8",
  "torch.BoolStorage": "BOOL",
  "torch.ComplexFloatStorage": "C64",
};
const bareStorage = "torch.storage.UntypedStorage";
const dtypes: Readonly<Record<string, FileDType>> = {
  "torch.float8_e4m3fn": "F8_E4M3",
  "torch.float8_e5m2": "F8_E5M2",
  "torch.float8_e8m0fnu": "F8_E8M0",
  "torch.uint16": "U16",
  "torch.uint32": "U32",
  "torch.uint64": "U64",
};

/** Says what is wrong with a value; the caller adds the file and the byte. */
export class Refusal extends Error {
  constructor(
    readonly expected: string,
    readonly got: string,
  ) {
    super(`expected ${expected}, got ${got}`);
  }
}

const mostDimensions = 32;

function whole(value: PickleValue | undefined, what: string): number {
  if (typeof value === "number" && Number.isSafeInteger(value) && value >= 0) return value;
  throw new Refusal(`${what} of whole numbers, 0 or more`, kindOf(value));
}

function wholes(value: PickleValue | undefined, what: string): number[] {
  const items = tupleItems(value);
  if (items === undefined || items.length > mostDimensions)
    throw new Refusal(`${what} of at most ${mostDimensions} numbers`, kindOf(value));
  return items.map((item) => whole(item, what));
}

function storageOf(value: PickleValue | undefined): StorageValue {
  if (typeof value === "object" && value !== null && value.kind === "storage") return value;
  throw new Refusal("a storage", kindOf(value));
}

/** A tensor of a storage: (storage, offset, size, stride, requires_grad, hooks, ...); v3 has a dtype. */
function rebuiltTensor(args: readonly PickleValue[], withDType: boolean): PickleValue {
  const [first, offset, size, stride, , , last] = args;
  const storage = storageOf(first);
  const named = withDType && typeof last === "object" && last !== null && last.kind === "global";
  const dtype = named ? dtypes[last.name] : storage.dtype;
  if (dtype === undefined)
    throw new Refusal("a dtype that tensors have", named ? last.name : kindOf(last));
  const shape = wholes(size, "a size");
  const strides = wholes(stride, "a stride");
  if (shape.length !== strides.length)
    throw new Refusal(`${shape.length} strides, one a size`, String(strides.length));
  return { kind: "tensor", storage, dtype, offset: whole(offset, "an offset"), shape, strides };
}

const callables: Readonly<Record<string, (args: readonly PickleValue[]) => PickleValue>> = {
  "collections.OrderedDict": (args) => {
    if (args.length > 0) throw new Refusal("an OrderedDict made empty", "one with arguments");
    return { kind: "dict", items: new Map() };
  },
  "torch._utils._rebuild_tensor_v2": (args) => rebuiltTensor(args, false),
  "torch._utils._rebuild_tensor_v3": (args) => rebuiltTensor(args, true),
  "torch._utils._rebuild_parameter": ([data]) => {
    if (typeof data === "object" && data !== null && data.kind === "tensor") return data;
    throw new Refusal("a parameter's tensor", kindOf(data));
  },
  "torch.Size": ([items]) => ({ kind: "tuple", items: wholes(items, "a size") }),
  "torch.device": () => null,
};

/** A global by its name. @throws Refusal for one that is not in the list */
export function globalOf(name: string): GlobalValue {
  const known =
    Object.hasOwn(callables, name) ||
    Object.hasOwn(storages, name) ||
    Object.hasOwn(dtypes, name) ||
    name === bareStorage;
  if (!known)
    throw new Refusal(
      "only tensors and plain values (re-save the model's state_dict())",
      `the global ${name}`,
    );
  return { kind: "global", name };
}

/** What pickle's REDUCE makes of a global and its arguments. */
export function reduced(
  callee: PickleValue | undefined,
  args: PickleValue | undefined,
): PickleValue {
  const items = tupleItems(args);
  if (
    typeof callee !== "object" ||
    callee === null ||
    callee.kind !== "global" ||
    items === undefined
  )
    throw new Refusal("a global and a tuple of arguments", `${kindOf(callee)} and ${kindOf(args)}`);
  if (!Object.hasOwn(callables, callee.name))
    throw new Refusal("a global that makes a value", callee.name);
  return callables[callee.name]!(items);
}

/** A storage: ("storage", its class, key, location, elements). Where it once lay is not looked at. */
export function persistent(id: PickleValue | undefined): StorageValue {
  const [tag, type, key, , elements] = tupleItems(id) ?? [];
  const name =
    typeof type === "object" && type !== null && type.kind === "global" ? type.name : undefined;
  if (tag !== "storage" || name === undefined || typeof key !== "string")
    throw new Refusal("the id of a storage", kindOf(id));
  if (name !== bareStorage && !Object.hasOwn(storages, name))
    throw new Refusal("a storage class", name);
  return { kind: "storage", key, dtype: storages[name], elements: whole(elements, "a storage") };
}
