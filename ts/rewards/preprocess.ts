// Pictures as each reward's authors feed them, where that differs from the differentiable form of training.
import { cropped, pilResize } from "../data/pil_resize.js";
import type { Picture } from "../data/png.js";
import type { Device } from "../tensor/device.js";
import { tensor, type Tensor } from "../tensor/tensor.js";

/** How a published script brings a picture to its square, by Pillow and so in bytes. */
export interface PillowForm {
  size: number;
  /**
   * `stretch`: both sides to the square (SigLIP's processor). Else the short side, then its middle, an odd
   * rest cut `floor` (transformers) or `even`, half to even (torchvision, open_clip).
   */
  fit: "stretch" | "floor" | "even";
  mean: readonly number[];
  std: readonly number[];
}

function roundHalfToEven(x: number): number {
  const floor = Math.floor(x);
  if (x - floor !== 0.5) return Math.round(x);
  return floor % 2 === 0 ? floor : floor + 1;
}

/** The square that a published script makes of a picture. */
export function pillowSquare(picture: Picture, { size, fit }: PillowForm): Picture {
  if (fit === "stretch") return pilResize(picture, size, size);
  const short = Math.min(picture.width, picture.height);
  const long = Math.trunc((size * Math.max(picture.width, picture.height)) / short);
  const wide = picture.width >= picture.height;
  const resized = pilResize(picture, wide ? long : size, wide ? size : long);
  const rest = (side: number) => (side - size) / 2;
  const cut = (side: number) =>
    fit === "floor" ? Math.floor(rest(side)) : roundHalfToEven(rest(side));
  return cropped(resized, { left: cut(resized.width), top: cut(resized.height), size });
}

/** The same, normalised: [1, size, size, 3], float32. */
export function pillowPixels(picture: Picture, form: PillowForm, device: Device): Tensor {
  const { rgb } = pillowSquare(picture, form);
  const { size, mean, std } = form;
  const values = Float32Array.from(rgb, (byte, i) => (byte / 255 - mean[i % 3]!) / std[i % 3]!);
  return tensor(values, [1, size, size, 3], { device });
}

/** A picture in [0, 1]: [1, H, W, 3], float32. */
export function unitImage({ width, height, rgb }: Picture, device: Device): Tensor {
  return tensor(
    Float32Array.from(rgb, (byte) => byte / 255),
    [1, height, width, 3],
    { device },
  );
}
