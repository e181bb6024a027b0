import type { FileDType } from "./file_dtype.js";

/** Elements in a member of the archive, which tensors share. */
export interface StorageValue {
  readonly kind: "storage";
  /** `data/<key>` */
  readonly key: string;
  /** Undefined for bytes whose dtype the tensor says. */
  readonly dtype: FileDType | undefined;
  /** Of `dtype`; bytes where that is undefined. */
  readonly elements: number;
}

/** A tensor that a pickle describes; its elements lie in a storage. */
export interface TensorValue {
  readonly kind: "tensor";
  readonly storage: StorageValue;
  readonly dtype: FileDType;
  /** Of the first element, in elements of `dtype`. */
  readonly offset: number;
  readonly shape: readonly number[];
  readonly strides: readonly number[];
}

export interface GlobalValue {
  readonly kind: "global";
  /** `module.name` */
  readonly name: string;
}

export interface DictValue {
  readonly kind: "dict";
  readonly items: Map<PickleValue, PickleValue>;
}

export interface SequenceValue {
  readonly kind: "tuple" | "list";
  readonly items: PickleValue[];
}

/** All that a pickle can become here. */
export type PickleValue =
  | null
  | boolean
  | number
  | bigint
  | string
  | StorageValue
  | TensorValue
  | GlobalValue
  | DictValue
  | SequenceValue;

/** A value as messages name it. */
export function kindOf(value: PickleValue | undefined): string {
  if (value === undefined) return "nothing";
  if (value === null) return "None";
  if (typeof value === "bigint") return "a long number";
  return typeof value === "object" ? value.kind : typeof value;
}

/** The items of a tuple, or undefined. */
export function tupleItems(value: PickleValue | undefined): readonly PickleValue[] | undefined {
  return typeof value === "object" && value !== null && value.kind === "tuple"
    ? value.items
    : undefined;
}
