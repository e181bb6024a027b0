// PyTorch's own checkpoints (`torch.save` since 1.6): a zip with `<top>/data.pkl`, which describes tensors, and
// `<top>/data/<key>`, their elements, stored. Nothing of it is run, and no data is read before it is asked for.
import path from "node:path";
import { native, type StoredTensor } from "../native/binding.js";
import { badFile, FileBytes, shownText } from "./file_bytes.js";
import { fileDTypeBytes } from "./file_dtype.js";
import { FileStore } from "./file_store.js";
import { mostPickleBytes, readPickle } from "./pickle.js";
import type { DictValue, PickleValue, TensorValue } from "./pickle_values.js";
import type { TensorInfo } from "./tensor_store.js";
import { dataStart, readMember, readZipDirectory, type ZipEntry } from "./zip.js";

const mostTensors = 200_000;

const isDict = (value: PickleValue | undefined): value is DictValue =>
  typeof value === "object" && value !== null && value.kind === "dict";
const isTensor = (value: PickleValue | undefined): value is TensorValue =>
  typeof value === "object" && value !== null && value.kind === "tensor";
const hasTensors = (dict: DictValue) => [...dict.items.values()].some(isTensor);

/** The dict of tensors in what was saved: itself, its `state_dict`, or the only one that it holds. */
function stateDict(file: string, saved: PickleValue): DictValue {
  const expected = "a dict of tensors, or one under state_dict";
  if (!isDict(saved)) throw badFile(file, "data.pkl", expected, "something else");
  if (hasTensors(saved)) return saved;
  const inner = [...saved.items].filter(([, value]) => isDict(value) && hasTensors(value));
  const named = inner.find(([key]) => key === "state_dict") ?? inner[0];
  if (named === undefined || (inner.length > 1 && named[0] !== "state_dict")) {
    const keys = [...saved.items.keys()].filter((key) => typeof key === "string");
    const got = keys.length === 0 ? "an empty dict" : `a dict of ${keys.slice(0, 8).join(", ")}`;
    throw badFile(file, "data.pkl", expected, shownText(got));
  }
  return named[1] as DictValue;
}

/** Whether elements lie one after the other in the tensor's own order. */
function isContiguous({ shape, strides }: TensorValue): boolean {
  let expected = 1;
  for (let d = shape.length - 1; d >= 0; --d) {
    if (shape[d] !== 1 && strides[d] !== expected) return false;
    expected *= shape[d]!;
  }
  return true;
}

/** Finds each storage's member once, and checks its length. */
class Storages {
  readonly #starts = new Map<string, number>();

  constructor(
    readonly file: FileBytes,
    readonly top: string,
    readonly entries: ReadonlyMap<string, ZipEntry>,
  ) {}

  /** Where a tensor's storage begins, in bytes of the file. */
  start(name: string, { storage }: TensorValue): number {
    const member = `${this.top}data/${storage.key}`;
    const known = this.#starts.get(member);
    const entry = this.entries.get(member);
    const refuse = (expected: string, got: string): never => {
      throw badFile(this.file.path, shownText(name), expected, got);
    };
    if (entry === undefined) return refuse(`its data in ${shownText(member)}`, "no such member");
    const bytes =
      storage.elements * (storage.dtype === undefined ? 1 : fileDTypeBytes[storage.dtype]);
    if (entry.method !== 0)
      refuse(`${shownText(member)} stored`, "it compressed; save the model again by torch.save");
    if (entry.size !== entry.packed || bytes !== entry.size)
      refuse(`${bytes} bytes in ${shownText(member)}`, `${entry.size}; download it again`);
    const start = known ?? dataStart(this.file, entry);
    this.#starts.set(member, start);
    return start;
  }
}

/** Checks that a tensor lies within its storage, and says where in the file it is. */
function placed(storages: Storages, name: string, tensor: TensorValue): StoredTensor {
  const { dtype, shape, strides, offset, storage } = tensor;
  const element = fileDTypeBytes[dtype];
  const elements = shape.reduce((product, n) => product * n, 1);
  const held = storage.dtype === undefined ? storage.elements / element : storage.elements;
  const reach =
    elements === 0 ? 0 : shape.reduce((sum, n, d) => sum + (n - 1) * strides[d]!, offset + 1);
  if (
    !Number.isSafeInteger(elements) ||
    !Number.isSafeInteger(reach) ||
    reach > held ||
    offset > held
  )
    throw badFile(
      storages.file.path,
      shownText(name),
      `[${shape.join(", ")}] within a storage of ${held} elements`,
      `strides [${strides.join(", ")}] from element ${offset}`,
    );
  const inOrder = elements === 0 || isContiguous(tensor);
  return {
    name,
    dtype,
    offset: storages.start(name, tensor) + offset * element,
    elements,
    sizes: inOrder ? [] : shape,
    strides: inOrder ? [] : strides,
  };
}

/** The folder in the archive that holds data.pkl, with a slash. */
function topOf(file: FileBytes, entries: ReadonlyMap<string, ZipEntry>): string {
  const names = [...entries.keys()];
  const pickles = names.filter((name) => /^[^/]+\/data\.pkl$/.test(name));
  const top = pickles[0]?.slice(0, -"data.pkl".length);
  if (top === undefined || pickles.length > 1)
    throw badFile(
      file.path,
      "archive",
      "a PyTorch checkpoint with one data.pkl",
      names.length === 0 ? "an empty zip" : `a zip of ${shownText(names.slice(0, 4).join(", "))}`,
    );
  if (entries.has(`${top}constants.pkl`))
    throw badFile(
      file.path,
      "archive",
      "a checkpoint of tensors",
      "a TorchScript program; save its state_dict() by torch.save",
    );
  return top;
}

function requireLittleEndian(file: FileBytes, entry: ZipEntry | undefined): void {
  if (entry === undefined) return; // older than the field, when only little-endian was written
  const order = readMember(file, entry, 64).toString("latin1").trim();
  if (order !== "little") throw badFile(file.path, "byteorder", "little", shownText(order));
}

/** A PyTorch checkpoint of tensors: a state dict, or a dict with one under `state_dict`. */
export class TorchFile extends FileStore {
  /**
   * @throws SrpoError ERR_CHECKPOINT: an opcode or a global beyond tensors and plain values, by name; what lies
   *   outside its storage or the file; what is compressed, encrypted or cut
   */
  static open(place: string): TorchFile {
    const origin = path.resolve(place);
    using file = new FileBytes(origin);
    const entries = readZipDirectory(file);
    const top = topOf(file, entries);
    requireLittleEndian(file, entries.get(`${top}byteorder`));
    const pickle = readMember(file, entries.get(`${top}data.pkl`)!, mostPickleBytes);
    const storages = new Storages(file, top, entries);
    const stored: StoredTensor[] = [];
    const tensors: TensorInfo[] = [];
    for (const [name, tensor] of stateDict(origin, readPickle(origin, pickle)).items) {
      if (typeof name !== "string" || !isTensor(tensor)) continue; // an epoch, a name, ...
      if (stored.length === mostTensors)
        throw badFile(origin, "data.pkl", `at most ${mostTensors} tensors`, "more");
      const at = placed(storages, name, tensor);
      const { dtype, shape } = tensor;
      stored.push(at);
      tensors.push({ name, dtype, shape, bytes: at.elements * fileDTypeBytes[dtype] });
    }
    return new TorchFile(origin, native.tensorFileOpen(origin, stored), tensors);
  }
}
