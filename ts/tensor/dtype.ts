export type DType = "float32" | "bfloat16" | "float16" | "int32" | "uint8";

/** Bytes of one element. */
export const bytesOf: Readonly<Record<DType, number>> = {
  float32: 4,
  bfloat16: 2,
  float16: 2,
  int32: 4,
  uint8: 1,
};

const word = new Float32Array(1);
const bits = new Uint32Array(word.buffer);

/** The bits of the bfloat16 nearest to a number; ties go to even. */
export function toBFloat16Bits(value: number): number {
  word[0] = value;
  const u = bits[0]!;
  if ((u & 0x7fffffff) > 0x7f800000) return (u >>> 16) | 0x40;
  return (u + 0x7fff + ((u >>> 16) & 1)) >>> 16;
}

/** The number that a bfloat16's bits stand for. */
export function fromBFloat16Bits(value: number): number {
  bits[0] = value << 16;
  return word[0]!;
}

/** The bfloat16 nearest to a number, as a number. */
export function roundToBFloat16(value: number): number {
  return fromBFloat16Bits(toBFloat16Bits(value));
}
