import { native, type Handle } from "../native/binding.js";
import { SrpoError } from "../native/error.js";
import type { Device } from "./device.js";
import { fromBFloat16Bits, toBFloat16Bits, type DType } from "./dtype.js";

/** What recorded a tensor; the tape knows its fields. */
export interface Producer {
  readonly id: number;
}

/** Takes the gradient of a matrix as dy [.., N] and x [.., K], whose rows' outer products it sums up. */
export interface GradientSink {
  add(dy: Handle, x: Handle): void;
}

/** Takes the squares of what a matrix's gradient holds from the products that add to it. */
export interface SquareSink {
  /** Where the next product leaves them (`linearBackward`); undefined once something else has added to it. */
  readonly handle: Handle | undefined;
  /** Something else adds to the gradient. */
  lose(): void;
}

/**
 * A dense, row-major tensor on a device. Its memory belongs to the innermost `tensorScope` that was
 * open when it was made; outside any scope, to `dispose` or the garbage collector.
 */
export class Tensor {
  readonly handle: Handle;
  /** A leaf whose gradient is wanted, or a tensor computed from one. */
  requiresGrad = false;
  /** Of a leaf with requiresGrad: its gradient, added to by `backward`. */
  grad: Tensor | undefined;
  /** Of a leaf with requiresGrad that has no `grad`: makes it, zeros and of no scope; undefined for one of its own. */
  gradientFrom: (() => Tensor | undefined) | undefined;
  /** Of a leaf with requiresGrad that has no `grad`: what takes its gradient, from `linear` alone. */
  factors: GradientSink | undefined;
  /** Of a leaf whose `grad` is a matrix: what keeps the squares of what that holds, if anything does. */
  squares: SquareSink | undefined;
  /** The recorded op that made it, and which of its outputs this is. */
  producer: Producer | undefined;
  outputIndex = 0;

  #shape: readonly number[] | undefined;
  #dtype: DType | undefined;
  #device: Device | undefined;

  constructor(handle: Handle) {
    this.handle = handle;
  }

  get shape(): readonly number[] {
    return (this.#shape ??= native.tensorShape(this.handle));
  }
  get dtype(): DType {
    return (this.#dtype ??= native.tensorDType(this.handle) as DType);
  }
  get device(): Device {
    return (this.#device ??= native.tensorDevice(this.handle) as Device);
  }
  get size(): number {
    return this.shape.reduce((product, n) => product * n, 1);
  }
  /** The size of a dimension; a negative index counts from the end. */
  dim(index: number): number {
    const size = this.shape.at(index);
    if (size === undefined)
      throw new SrpoError(
        "ERR_SHAPE",
        `dim: index: expected one of ${this.shape.length} dimensions, got ${index}`,
      );
    return size;
  }

  /** The bytes, once all work enqueued so far has ended. */
  readBytes(): Promise<ArrayBuffer> {
    return native.tensorRead(this.handle);
  }

  /** The values as float32 numbers (int32 and uint8 too), once all work enqueued so far has ended. */
  async read(): Promise<Float32Array> {
    const { dtype } = this;
    const bytes = await this.readBytes();
    switch (dtype) {
      case "float32":
        return new Float32Array(bytes);
      case "bfloat16":
        return Float32Array.from(new Uint16Array(bytes), fromBFloat16Bits);
      case "int32":
        return Float32Array.from(new Int32Array(bytes));
      case "uint8":
        return Float32Array.from(new Uint8Array(bytes));
      case "float16":
        throw new SrpoError("ERR_DTYPE", "read: expected any dtype but float16; cast it first");
    }
  }

  /** The one value of a tensor of one element. */
  async item(): Promise<number> {
    if (this.size !== 1)
      throw new SrpoError(
        "ERR_SHAPE",
        `item: expected one element, got [${this.shape.join(", ")}]`,
      );
    return (await this.read())[0]!;
  }

  /** The same memory from element `offset` on under another shape, outside the tape. */
  viewOf(offset: number, shape: readonly number[]): Tensor {
    return new Tensor(native.tensorView(this.handle, offset, shape));
  }

  /** The same values with no history: no gradient flows through it. Shares memory. */
  detach(): Tensor {
    return this.viewOf(0, this.shape);
  }

  /** Copies another tensor's values here; same shape, dtype and device. */
  copyFrom(from: Tensor): void {
    native.tensorCopy(this.handle, from.handle);
  }

  zero(): void {
    native.tensorZero(this.handle);
  }

  /** Frees the memory now, whatever scope it belongs to. A second call does nothing. */
  dispose(): void {
    native.tensorDispose(this.handle);
  }
  get disposed(): boolean {
    return native.tensorDisposed(this.handle);
  }
}

export interface TensorOptions {
  dtype?: DType;
  device?: Device;
}

function bytesFor(values: ArrayLike<number>, dtype: DType): ArrayBufferView {
  switch (dtype) {
    case "float32":
      return values instanceof Float32Array ? values : Float32Array.from(values);
    case "int32":
      return values instanceof Int32Array ? values : Int32Array.from(values);
    case "uint8":
      return values instanceof Uint8Array ? values : Uint8Array.from(values);
    case "bfloat16":
      return Uint16Array.from(values, toBFloat16Bits);
    case "float16":
      throw new SrpoError("ERR_DTYPE", "tensor: dtype: expected anything but float16 for numbers");
  }
}

/**
 * A tensor with these values, rounded to the dtype.
 *
 * @param values - as many numbers as the shape has elements; copied before this returns
 * @param shape - defaults to one dimension
 * @param options.dtype - default float32
 * @param options.device - default cpu
 */
export function tensor(
  values: ArrayLike<number>,
  shape: readonly number[] = [values.length],
  { dtype = "float32", device = "cpu" }: TensorOptions = {},
): Tensor {
  return new Tensor(native.tensorFrom(bytesFor(values, dtype), shape, dtype, device));
}

/** A tensor with these bytes, little-endian, row-major. */
export function tensorFromBytes(
  bytes: ArrayBuffer | ArrayBufferView,
  shape: readonly number[],
  { dtype = "float32", device = "cpu" }: TensorOptions = {},
): Tensor {
  return new Tensor(native.tensorFrom(bytes, shape, dtype, device));
}

export function zeros(
  shape: readonly number[],
  { dtype = "float32", device = "cpu" }: TensorOptions = {},
): Tensor {
  return new Tensor(native.tensorZeros(shape, dtype, device));
}

/** Memory as it comes, to be written by what follows. */
export function empty(
  shape: readonly number[],
  { dtype = "float32", device = "cpu" }: TensorOptions = {},
): Tensor {
  return new Tensor(native.tensorEmpty(shape, dtype, device));
}
