/** Token ids (or masks) of a batch of texts, a row a text, all padded to one length. */
export type TokenIds = readonly (readonly number[])[];

/** The rows of a batch that lies in one array, as tokenizers give it. */
export function tokenRows(flat: Int32Array, length: number): TokenIds {
  return Array.from({ length: flat.length / length }, (_, i) => [
    ...flat.subarray(i * length, (i + 1) * length),
  ]);
}
