// Pillow's bicubic resize to the bit: what transformers, torchvision on pictures and open_clip feed their towers.
import type { Picture } from "./png.js";

/** Keys' cubic with a = -0.5. */
function bicubic(x: number): number {
  const t = Math.abs(x);
  if (t < 1) return (1.5 * t - 2.5) * t * t + 1;
  return t < 2 ? ((-0.5 * t + 2.5) * t - 4) * t + 2 : 0;
}

// Weights are whole numbers of 2^-22 (Pillow's PRECISION_BITS), sums are rounded to bytes after each pass.
const precision = 22;

interface Taps {
  start: number;
  weights: Int32Array;
}

/** The taps of each place of a side, the kernel widened when shrinking. */
function tapsOf(from: number, to: number): Taps[] {
  const scale = from / to;
  const stretch = Math.max(scale, 1);
  const support = 2 * stretch;
  return Array.from({ length: to }, (_, i) => {
    const centre = (i + 0.5) * scale;
    const start = Math.max(Math.trunc(centre - support + 0.5), 0);
    const end = Math.min(Math.trunc(centre + support + 0.5), from);
    const inverse = 1 / stretch;
    const exact = Array.from({ length: end - start }, (_w, j) =>
      bicubic((j + start - centre + 0.5) * inverse),
    );
    const total = exact.reduce((sum, w) => sum + w, 0);
    const weights = Int32Array.from(exact, (w) => {
      const scaled = (total === 0 ? w : w / total) * (1 << precision);
      return Math.trunc(scaled < 0 ? scaled - 0.5 : scaled + 0.5);
    });
    return { start, weights };
  });
}

const clipByte = (sum: number) => Math.min(255, Math.max(0, sum >> precision));
const half = 1 << (precision - 1);

/** Every row at another width: [rows, from, 3] -> [rows, to.length, 3]. */
function across(rgb: Uint8Array, rows: number, from: number, taps: readonly Taps[]): Uint8Array {
  const out = new Uint8Array(rows * taps.length * 3);
  for (let y = 0, at = 0; y < rows; ++y)
    for (const { start, weights } of taps)
      for (let c = 0; c < 3; ++c) {
        let sum = half;
        for (let j = 0, i = (y * from + start) * 3 + c; j < weights.length; ++j, i += 3)
          sum += weights[j]! * rgb[i]!;
        out[at++] = clipByte(sum);
      }
  return out;
}

/** Every column at another height: [from, width, 3] -> [taps.length, width, 3]. */
function down(rgb: Uint8Array, width: number, taps: readonly Taps[]): Uint8Array {
  const stride = width * 3;
  const out = new Uint8Array(taps.length * stride);
  for (const [y, { start, weights }] of taps.entries())
    for (let x = 0; x < stride; ++x) {
      let sum = half;
      for (let j = 0, i = start * stride + x; j < weights.length; ++j, i += stride)
        sum += weights[j]! * rgb[i]!;
      out[y * stride + x] = clipByte(sum);
    }
  return out;
}

/**
 * `Image.resize((width, height), BICUBIC)` of an RGB picture: across, then down, bytes between.
 *
 * @see Pillow, src/libImaging/Resample.c
 */
export function pilResize(picture: Picture, width: number, height: number): Picture {
  let { rgb } = picture;
  if (picture.width !== width)
    rgb = across(rgb, picture.height, picture.width, tapsOf(picture.width, width));
  if (picture.height !== height) rgb = down(rgb, width, tapsOf(picture.height, height));
  return { width, height, rgb };
}

/** The part of a picture from (left, top) on. */
export function cropped(
  { width, rgb }: Picture,
  { left, top, size }: { left: number; top: number; size: number },
): Picture {
  const out = new Uint8Array(size * size * 3);
  for (let y = 0; y < size; ++y) {
    const from = ((top + y) * width + left) * 3;
    out.set(rgb.subarray(from, from + size * 3), y * size * 3);
  }
  return { width: size, height: size, rgb: out };
}
