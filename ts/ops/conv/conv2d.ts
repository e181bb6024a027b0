import { alias, record, weightGradient } from "../../autograd/tape.js";
import { native } from "../../native/binding.js";
import type { Tensor } from "../../tensor/tensor.js";

/** Zeros around a picture, clockwise from the top. */
export type Padding = readonly [top: number, right: number, bottom: number, left: number];

/**
 * Convolution, channels last:
 * `y[b, i, j, n] = b[n] + sum of w[n, r, s, c] * x[b, i*stride + r - top, j*stride + s - left, c]`,
 * x being zero outside the picture.
 *
 * Gradients flow to x, w, b and residual; those of w and b are added in float32. With `upsample` the
 * weights that meet the same pixel are summed first (in bfloat16: rounded once more).
 *
 * @param x - [B, H, W, Cin], float32 or bfloat16
 * @param w - [Cout, kh, kw, Cin], dtype of x
 * @param b - [Cout], dtype of x, or null
 * @param options.stride - default 1
 * @param options.padding - [top, right, bottom, left]; default keeps the size: 1 each for 3x3
 * @param options.upsample - doubles x in both directions first (nearest), without storing that
 * @param options.residual - shape of y; added to it
 * @returns [B, Ho, Wo, Cout], dtype of x; sums run in float32, the same bits for any number of threads
 * @throws SrpoError ERR_SHAPE, ERR_DTYPE, ERR_DEVICE or ERR_RANGE, naming the argument
 */
export function conv2d(
  x: Tensor,
  w: Tensor,
  b: Tensor | null = null,
  {
    stride = 1,
    padding,
    upsample = false,
    residual,
  }: { stride?: number; padding?: Padding; upsample?: boolean; residual?: Tensor } = {},
): Tensor {
  const sides = padding ?? sameSize(w.shape);
  const y = native.conv2dForward(
    x.handle,
    w.handle,
    b?.handle ?? null,
    residual?.handle ?? null,
    stride,
    sides,
    upsample,
  );
  return record("conv2d", [x, w, b, residual], y, (dy) => {
    const [dw, db] = [weightGradient(w), weightGradient(b)];
    const dx = native.conv2dBackward(
      dy,
      x.handle,
      w.handle,
      dw.into,
      db.into,
      x.requiresGrad,
      stride,
      sides,
      upsample,
    );
    return [dx, dw.result, db.result, residual?.requiresGrad === true ? alias(dy) : null];
  });
}

function sameSize([, kh = 1, kw = 1]: readonly number[]): Padding {
  return [(kh - 1) >> 1, kw >> 1, kh >> 1, (kw - 1) >> 1];
}
