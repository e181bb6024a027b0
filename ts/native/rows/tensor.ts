import type { Handle } from "../handle.js";

/** What cpp/binding/{guarded,tensor,wait}.cpp register. */
export interface TensorRows {
  setErrorClass(type: new (code: string, message: string) => Error): void;

  tensorEmpty(shape: readonly number[], dtype: string, device: string): Handle;
  tensorZeros(shape: readonly number[], dtype: string, device: string): Handle;
  tensorFrom(
    data: ArrayBuffer | ArrayBufferView,
    shape: readonly number[],
    dtype: string,
    device: string,
  ): Handle;
  tensorView(tensor: Handle, offset: number, shape: readonly number[]): Handle;
  tensorShape(tensor: Handle): number[];
  tensorDType(tensor: Handle): string;
  tensorDevice(tensor: Handle): string;
  tensorCopy(to: Handle, from: Handle): void;
  tensorZero(tensor: Handle): void;
  tensorDispose(tensor: Handle): void;
  tensorDisposed(tensor: Handle): boolean;
  tensorRead(tensor: Handle): Promise<ArrayBuffer>;
  scopeBegin(): number;
  scopeEnd(depth: number, kept: readonly Handle[]): void;
  scopeRelease(released: readonly Handle[]): void;
  synchronize(device: string): Promise<void>;
}
