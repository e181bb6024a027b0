import { SrpoError } from "../native/error.js";
import type { DType } from "../tensor/dtype.js";

/** Bytes of an element of each dtype, under the names of safetensors. */
export const fileDTypeBytes = {
  BOOL: 1,
  U8: 1,
  I8: 1,
  F8_E4M3: 1,
  F8_E5M2: 1,
  F8_E8M0: 1,
  I16: 2,
  U16: 2,
  F16: 2,
  BF16: 2,
  I32: 4,
  U32: 4,
  F32: 4,
  C64: 8,
  F64: 8,
  I64: 8,
  U64: 8,
} as const;

export type FileDType = keyof typeof fileDTypeBytes;

/** The tensor dtype that holds a file's dtype: without loss, but for F64, I64, U32 and U64. */
export function tensorDTypeOf(dtype: FileDType): DType {
  switch (dtype) {
    case "F32":
    case "F64":
    case "F16":
      return "float32";
    case "BF16":
    case "F8_E4M3":
    case "F8_E5M2":
      return "bfloat16";
    case "U8":
    case "BOOL":
      return "uint8";
    case "I8":
    case "I16":
    case "U16":
    case "I32":
    case "U32":
    case "I64":
    case "U64":
      return "int32";
    case "C64":
    case "F8_E8M0":
      throw new SrpoError("ERR_DTYPE", `read: dtype: expected one that tensors have, got ${dtype}`);
  }
}

const onDisk: Readonly<Record<DType, FileDType>> = {
  float32: "F32",
  bfloat16: "BF16",
  float16: "F16",
  int32: "I32",
  uint8: "U8",
};

/** The file dtype with a tensor dtype's own bytes. */
export function fileDTypeOf(dtype: DType): FileDType {
  return onDisk[dtype];
}
