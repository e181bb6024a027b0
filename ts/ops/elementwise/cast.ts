import { record } from "../../autograd/tape.js";
import { native } from "../../native/binding.js";
import type { DType } from "../../tensor/dtype.js";
import type { Tensor } from "../../tensor/tensor.js";

/**
 * The same values in another dtype, rounded to the nearest, ties to even. A tensor that has the dtype
 * already is returned as it is.
 *
 * @param x - any shape, float32 or bfloat16
 * @param dtype - float32 or bfloat16
 * @throws SrpoError ERR_DTYPE for other dtypes
 */
export function cast(x: Tensor, dtype: DType): Tensor {
  if (x.dtype === dtype) return x;
  const from = x.dtype;
  return record("cast", [x], native.cast(x.handle, dtype), (dy) => [native.cast(dy, from)]);
}
