// Scaled 8-bit floats, as ComfyUI writes them: `NAME.weight` in F8_E4M3 (or E5M2) and beside it one float by which
// it is multiplied, `NAME.scale_weight` (or `NAME.weight_scale`). A tensor `scaled_fp8` marks the file; scales of
// the activations (`scale_input`, `input_scale`) are for 8-bit arithmetic, which is not done here.
import { badFile } from "./file_bytes.js";
import { tensorDTypeOf } from "./file_dtype.js";
import type { ReadPart, TensorInfo, TensorStore } from "./tensor_store.js";
import { empty, type Tensor, type TensorOptions } from "../tensor/tensor.js";

const marker = /(^|\.)scaled_fp8$/;
const scaleOf = /^(.*\.)(?:scale_weight|weight_scale)$/;
const unused = /\.(?:scale_input|input_scale)$/;

/** The names of what a scaled file adds to its weights. */
function isExtra(name: string): boolean {
  return marker.test(name) || scaleOf.test(name) || unused.test(name);
}

/** The store with its weights at their true values: itself if nothing in it is scaled. */
export function withScales(store: TensorStore): TensorStore {
  const names = [...store.names()];
  const scales = new Map<string, number>();
  for (const name of names) {
    const stem = scaleOf.exec(name)?.[1];
    if (stem === undefined) continue;
    const weight = `${stem}weight`;
    const of = store.has(weight) ? store.info(weight).dtype : "no such tensor";
    if (!of.startsWith("F8_"))
      throw badFile(store.origin, name, `an 8-bit ${weight} that it scales`, of);
    if (store.shape(name).some((n) => n !== 1))
      throw badFile(
        store.origin,
        name,
        "one scale for the whole tensor",
        `[${store.shape(name).join(", ")}]; take the bf16 file`,
      );
    const scale = store.scalar(name);
    if (!Number.isFinite(scale)) throw badFile(store.origin, name, "a finite scale", String(scale));
    scales.set(weight, scale);
  }
  return names.some(isExtra) ? new ScaledStore(store, scales) : store;
}

class ScaledStore implements TensorStore {
  readonly origin: string;
  readonly metadata: ReadonlyMap<string, string>;
  readonly #names: readonly string[];

  constructor(
    readonly inner: TensorStore,
    readonly scales: ReadonlyMap<string, number>,
  ) {
    this.origin = inner.origin;
    this.metadata = inner.metadata;
    this.#names = [...inner.names()].filter((name) => !isExtra(name));
  }

  names(): Iterable<string> {
    return this.#names;
  }
  has(name: string): boolean {
    return !isExtra(name) && this.inner.has(name);
  }
  info(name: string): TensorInfo {
    return this.inner.info(name);
  }
  shape(name: string): readonly number[] {
    return this.inner.shape(name);
  }
  read(name: string, { dtype, device = "cpu" }: TensorOptions = {}): Tensor {
    const { shape, dtype: onDisk } = this.info(name);
    const values = empty(shape, { dtype: dtype ?? tensorDTypeOf(onDisk), device });
    this.enqueue(name, values);
    return values;
  }
  enqueue(name: string, destination: Tensor, part: ReadPart = {}): void {
    this.inner.enqueue(name, destination, this.#scaled(name, part));
  }
  readInto(name: string, destination: Tensor, part: ReadPart = {}): Promise<void> {
    return this.inner.readInto(name, destination, this.#scaled(name, part));
  }
  scalar(name: string): number {
    return this.inner.scalar(name);
  }
  close(): void {
    this.inner.close();
  }
  [Symbol.dispose](): void {
    this.close();
  }

  #scaled(name: string, part: ReadPart): ReadPart {
    const scale = this.scales.get(name);
    return scale === undefined ? part : { ...part, scale: scale * (part.scale ?? 1) };
  }
}
