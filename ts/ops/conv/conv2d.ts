import { alias, record, weightGradient } from "../../autograd/tape.js";
import { native, type Handle } from "../../native/binding.js";
import { Tensor } from "../../tensor/tensor.js";

/** Zeros around a picture, clockwise from the top. */
export type Padding = readonly [top: number, right: number, bottom: number, left: number];

export interface Conv2dOptions {
  stride?: number;
  padding?: Padding;
  upsample?: boolean;
  residual?: Tensor;
}

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
  options: Conv2dOptions = {},
): Tensor {
  return convolve(x, w, b, null, options).y;
}

/**
 * `conv2d`, and the statistics of y that a group norm of so many groups starts from: mean and variance
 * [B, groups, 2], float32, taken on cuda before y leaves the chip. They are not differentiated:
 * `groupNorm`'s backward accounts for them.
 */
export function conv2dWithStatistics(
  x: Tensor,
  w: Tensor,
  b: Tensor | null,
  { groups, ...options }: Conv2dOptions & { groups: number },
): { y: Tensor; statistics: Tensor } {
  const { y, statistics } = convolve(x, w, b, groups, options);
  return { y, statistics: new Tensor(statistics!) };
}

function convolve(
  x: Tensor,
  w: Tensor,
  b: Tensor | null,
  groups: number | null,
  { stride = 1, padding, upsample = false, residual }: Conv2dOptions,
): { y: Tensor; statistics: Handle | null } {
  const sides = padding ?? sameSize(w.shape);
  const [result, statistics] = native.conv2dForward(
    x.handle,
    w.handle,
    b?.handle ?? null,
    residual?.handle ?? null,
    stride,
    sides,
    upsample,
    groups,
  );
  const y = record("conv2d", [x, w, b, residual], result, (dy) => {
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
  return { y, statistics };
}

function sameSize([, kh = 1, kw = 1]: readonly number[]): Padding {
  return [(kh - 1) >> 1, kw >> 1, kh >> 1, (kw - 1) >> 1];
}
