import type { Tensor } from "../tensor/tensor.js";
import type { Picture } from "./png.js";

/** Pictures [B, H, W, 3] in [0, 1] as bytes, rounded. */
export async function picturesOf(images: Tensor): Promise<Picture[]> {
  const [B, height, width] = images.shape as [number, number, number, number];
  const values = await images.read();
  const size = height * width * 3;
  return Array.from({ length: B }, (_, b) => ({
    width,
    height,
    rgb: Uint8Array.from(values.subarray(b * size, (b + 1) * size), (v) =>
      Math.round(255 * Math.min(1, Math.max(0, v))),
    ),
  }));
}

/** Pictures of one size in rows, a gap between them. */
export function gridOf(pictures: readonly Picture[], columns: number, gap = 2): Picture {
  const [first] = pictures;
  if (first === undefined) return { width: 0, height: 0, rgb: new Uint8Array() };
  const { width: w, height: h } = first;
  const across = Math.min(columns, pictures.length);
  const rows = Math.ceil(pictures.length / across);
  const width = across * (w + gap) - gap;
  const height = rows * (h + gap) - gap;
  const rgb = new Uint8Array(width * height * 3).fill(255);
  pictures.forEach((picture, i) => {
    const left = (i % across) * (w + gap);
    const top = Math.floor(i / across) * (h + gap);
    for (let y = 0; y < h; ++y)
      rgb.set(picture.rgb.subarray(y * w * 3, (y + 1) * w * 3), ((top + y) * width + left) * 3);
  });
  return { width, height, rgb };
}
