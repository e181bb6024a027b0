import { gradientOrZeros, recordMany } from "../../autograd/tape.js";
import { native } from "../../native/binding.js";
import { SrpoError } from "../../native/error.js";
import type { Tensor } from "../../tensor/tensor.js";

/**
 * A tensor cut along one dimension: `slice` for each part, with one backward that puts the parts'
 * gradients side by side.
 *
 * @param x - any shape and dtype
 * @param dim - negative counts from the end
 * @param parts - the sizes, which add up to x's; or how many equal parts
 * @throws SrpoError ERR_SHAPE if the parts do not add up
 * @example const [shift, scale, gate] = split(modulation, 1, 3); // [B, 3D] -> 3 x [B, D]
 */
export function split(x: Tensor, dim: number, parts: number | readonly number[]): Tensor[] {
  const all = x.dim(dim);
  const sizes =
    typeof parts === "number" ? Array.from({ length: parts }, () => all / parts) : parts;
  const sum = sizes.reduce((total, n) => total + n, 0);
  if (sum !== all || !sizes.every(Number.isInteger))
    throw new SrpoError(
      "ERR_SHAPE",
      `split: parts: expected sizes that add up to ${all}, got [${sizes.join(", ")}]`,
    );
  let end = 0;
  const outputs = sizes.map((size) =>
    native.sliceForward(x.handle, dim, (end += size) - size, size),
  );
  return recordMany("split", [x], outputs, (dys) => [
    native.concatForward(
      outputs.map((part, i) => gradientOrZeros(dys[i], part)),
      dim,
    ),
  ]);
}
