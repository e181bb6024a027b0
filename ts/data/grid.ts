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

/** What a grid's file says of it, so that its pictures can be told apart again; see `gridText`. */
export interface GridText {
  /** One a picture. */
  prompts: readonly string[];
  width: number;
  height: number;
  columns: number;
}

/** A grid's description as text entries of its PNG. */
export function gridText({ prompts, width, height, columns }: GridText): Record<string, string> {
  return { prompts: JSON.stringify(prompts), cells: `${width}x${height}, ${columns} a row` };
}

/** The description in a PNG's text entries; undefined if it is no grid. */
export function readGridText(text: Readonly<Record<string, string>>): GridText | undefined {
  const [, width, height, columns] =
    /^(\d{1,5})x(\d{1,5}), (\d{1,3}) a row$/.exec(text.cells ?? "") ?? [];
  if (text.prompts === undefined || columns === undefined) return undefined;
  let prompts: unknown;
  try {
    prompts = JSON.parse(text.prompts);
  } catch {
    return undefined;
  }
  if (!Array.isArray(prompts) || !prompts.every((prompt) => typeof prompt === "string"))
    return undefined;
  return { prompts, width: Number(width), height: Number(height), columns: Number(columns) };
}

/** The pictures that `gridOf` put together; undefined if they would not fill it. */
export function cellsOf(
  grid: Picture,
  { prompts, width, height, columns }: GridText,
  gap = 2,
): Picture[] | undefined {
  const across = Math.min(columns, prompts.length);
  const down = Math.ceil(prompts.length / across);
  if (across * (width + gap) - gap !== grid.width || down * (height + gap) - gap !== grid.height)
    return undefined;
  return prompts.map((_, i) => {
    const left = (i % across) * (width + gap);
    const top = Math.floor(i / across) * (height + gap);
    const rgb = new Uint8Array(width * height * 3);
    for (let y = 0; y < height; ++y) {
      const from = ((top + y) * grid.width + left) * 3;
      rgb.set(grid.rgb.subarray(from, from + width * 3), y * width * 3);
    }
    return { width, height, rgb };
  });
}
