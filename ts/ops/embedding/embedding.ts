import { record, weightGradient } from "../../autograd/tape.js";
import { native } from "../../native/binding.js";
import { SrpoError } from "../../native/error.js";
import type { Tensor } from "../../tensor/tensor.js";

/**
 * Rows of a table: `y[i] = table[ids[i]]`. Ids are host numbers, all checked before any is uploaded.
 *
 * @param table - [V, D], float32 or bfloat16; its gradient is added up in float32, in the ids' order
 * @param ids - numbers from 0 to V - 1; one list, or one a sample, all of one length
 * @param shape - of the ids; default one dimension for a list, [B, L] for lists
 * @returns [...shape, D], dtype and device of table
 * @throws SrpoError ERR_SHAPE if the ids do not fill the shape; RangeError ERR_RANGE for an id that
 *   the table has no row for, with its place
 * @example const x = embedding(table, [[49406, 320, 49407]]); // [1, 3, D]
 */
export function embedding(
  table: Tensor,
  ids: readonly number[] | readonly (readonly number[])[] | Int32Array,
  shape: readonly number[] = shapeOf(ids),
): Tensor {
  const flat = ids instanceof Int32Array ? ids : ids.flat();
  const [y, uploaded] = native.embeddingForward(table.handle, flat, shape);
  return record("embedding", [table], y, (dy) => {
    const dtable = weightGradient(table);
    if (dtable.into !== null) native.embeddingBackward(dtable.into, dy, uploaded);
    return [dtable.result];
  });
}

function shapeOf(ids: readonly number[] | readonly (readonly number[])[] | Int32Array): number[] {
  const first = ids[0];
  if (typeof first !== "object") return [ids.length];
  const other = (ids as readonly (readonly number[])[]).find((row) => row.length !== first.length);
  if (other !== undefined)
    throw new SrpoError(
      "ERR_SHAPE",
      `embedding: ids: expected lists of ${first.length}, got one of ${other.length}`,
    );
  return [ids.length, first.length];
}
