import { record } from "../../autograd/tape.js";
import { native } from "../../native/binding.js";
import { SrpoError } from "../../native/error.js";
import type { Tensor } from "../../tensor/tensor.js";

/**
 * The same memory under another shape.
 *
 * @param x - any shape and dtype
 * @param shape - as many elements as x; one size may be -1 and follows from the others
 * @throws SrpoError ERR_SHAPE if the number of elements differs
 */
export function reshape(x: Tensor, shape: readonly number[]): Tensor {
  const known = shape.reduce((product, n) => (n < 0 ? product : product * n), 1);
  const full = shape.map((n) => (n < 0 ? x.size / known : n));
  if (full.reduce((product, n) => product * n, 1) !== x.size)
    throw new SrpoError(
      "ERR_SHAPE",
      `reshape: shape: expected ${x.size} elements, got [${shape.join(", ")}]`,
    );
  const from = x.shape;
  return record("reshape", [x], native.tensorView(x.handle, 0, full), (dy) => [
    native.tensorView(dy, 0, from),
  ]);
}
