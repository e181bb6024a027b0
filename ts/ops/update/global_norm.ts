import { native } from "../../native/binding.js";
import { Tensor } from "../../tensor/tensor.js";

/** What is known of a gradient without reading it. */
export interface KnownSquares {
  /** Any shape, float32: sums of squares. */
  squares: Tensor;
  /** Begin and count of each range of the gradient of which they know nothing. */
  ranges: readonly number[];
}

/**
 * The L2 norm of a flat gradient. No gradient of its own.
 *
 * @param grad - any shape, float32 or bfloat16
 * @param known - leaves what is known unread, unless the squares have overflown or all but vanished in float32
 * @returns [1], float32; summed in double over fixed blocks, so that it is not finite exactly if an
 *   element is not, and has the same bits for any number of threads
 * @throws SrpoError ERR_SHAPE for a tensor without elements, ERR_DTYPE, ERR_DEVICE, ERR_RANGE
 */
export function globalNorm(grad: Tensor, known?: KnownSquares): Tensor {
  return new Tensor(
    native.globalNorm(grad.handle, known?.squares.handle ?? null, known?.ranges ?? []),
  );
}

/**
 * The L2 norm of the matrix `dyT x`, from the products of the rows of each alone.
 *
 * @param dy - [R, N], float32 or bfloat16
 * @param x - [R, K], dtype of dy
 * @returns [1], float32; summed in double
 * @throws SrpoError ERR_SHAPE, ERR_DTYPE, ERR_DEVICE, or ERR_RANGE for more than 65535 rows
 */
export function factoredNorm(dy: Tensor, x: Tensor): Tensor {
  return new Tensor(native.factoredNorm(dy.handle, x.handle));
}

/**
 * Adds one to `counter` if the norm is not finite: the number of updates that `adamwStep` left out.
 * Call it once an update, before the update's ranges.
 *
 * @param counter - [1], int32
 * @param norm - [1], float32
 */
export function countNonFinite(counter: Tensor, norm: Tensor): void {
  native.countNonFinite(counter.handle, norm.handle);
}
