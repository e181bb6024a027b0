/** Token ids of several texts, padded to one length. */
export interface TokenBatch {
  /** [B, maxLength], row-major. */
  readonly ids: Int32Array;
  /** [B, maxLength]: 1 for a token of the text, its start and end included, 0 for padding. */
  readonly mask: Int32Array;
  readonly shape: readonly [batch: number, maxLength: number];
}

/** Pads rows of at most `maxLength` ids with `pad`. */
export function padBatch(rows: readonly number[][], maxLength: number, pad: number): TokenBatch {
  const ids = new Int32Array(rows.length * maxLength).fill(pad);
  const mask = new Int32Array(rows.length * maxLength);
  for (const [b, row] of rows.entries()) {
    ids.set(row, b * maxLength);
    mask.fill(1, b * maxLength, b * maxLength + row.length);
  }
  return { ids, mask, shape: [rows.length, maxLength] };
}

/** A length that has room for the tokens around a text; RangeError otherwise. */
export function checkedMaxLength(tokenizer: string, value: number, atLeast: number): number {
  if (!Number.isInteger(value) || value < atLeast || value > 0x10000)
    throw new RangeError(
      `${tokenizer}: maxLength: expected an integer from ${String(atLeast)} to 65536, got ${String(value)}`,
    );
  return value;
}

/** A padding id that a vocabulary of `size` can have; RangeError otherwise. */
export function checkedPad(tokenizer: string, value: number, size: number): number {
  if (!Number.isInteger(value) || value < 0 || value >= size)
    throw new RangeError(
      `${tokenizer}: pad: expected an id below ${String(size)}, got ${String(value)}`,
    );
  return value;
}
