import { existsSync, readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { SrpoError } from "../native/error.js";
import { tensor, type Tensor } from "../tensor/tensor.js";
import type { Device } from "../tensor/device.js";
import { decodePng, type Picture } from "./png.js";

/** A picture of a folder and what it shows. */
export interface CaptionedImage {
  file: string;
  caption: string;
}

interface Sharp {
  (file: string): {
    removeAlpha(): { toColourspace(space: string): { raw(): RawSharp } };
  };
}
interface RawSharp {
  toBuffer(o: {
    resolveWithObject: true;
  }): Promise<{ data: Buffer; info: { width: number; height: number; channels: number } }>;
}

const kinds = new Set([".png", ".jpg", ".jpeg", ".webp"]);

/** Those of a folder's names that are pictures', sorted. */
export function pictureNames(names: readonly string[]): string[] {
  return names.filter((name) => kinds.has(path.extname(name).toLowerCase())).toSorted();
}

/**
 * The pictures of a folder, sorted by name, each with the caption in the .txt file of its name.
 *
 * @throws SrpoError ERR_CONFIG for no folder, no picture, or pictures without a caption (all named)
 */
export function listImages(folder: string): CaptionedImage[] {
  if (!existsSync(folder))
    throw new SrpoError("ERR_CONFIG", `images: expected a folder, got none at ${folder}`);
  const names = pictureNames(readdirSync(folder));
  if (names.length === 0)
    throw new SrpoError(
      "ERR_CONFIG",
      `images: expected .png, .jpg or .webp files in ${folder}, got none`,
    );
  const captionOf = (name: string) => path.join(folder, `${path.parse(name).name}.txt`);
  const bare = names.filter((name) => !existsSync(captionOf(name)));
  if (bare.length > 0)
    throw new SrpoError(
      "ERR_CONFIG",
      `images: expected a caption NAME.txt beside each picture in ${folder}, got none for ` +
        `${bare.slice(0, 10).join(", ")}${bare.length > 10 ? ` and ${bare.length - 10} more` : ""}`,
    );
  return names.map((name) => ({
    file: path.join(folder, name),
    caption: readFileSync(captionOf(name), "utf8").trim().replaceAll(/\s+/g, " "),
  }));
}

/** Reads a PNG by ourselves, other kinds by `sharp` where it is installed. */
export async function readPicture(file: string): Promise<Picture> {
  if (path.extname(file).toLowerCase() === ".png") return decodePng(readFileSync(file), file);
  const name = "sharp";
  const sharp = await import(name).then(
    (module: { default: Sharp }) => module.default,
    () => undefined,
  );
  if (sharp === undefined)
    throw new SrpoError(
      "ERR_IMAGE",
      `${file}: expected a PNG, or the package "sharp" for JPEG and WebP (npm install sharp), got neither`,
    );
  const { data, info } = await sharp(file)
    .removeAlpha()
    .toColourspace("srgb")
    .raw()
    .toBuffer({ resolveWithObject: true });
  return { width: info.width, height: info.height, rgb: new Uint8Array(data) };
}

/** Lanczos of three lobes, as PIL resizes. */
function lanczos(x: number): number {
  if (x === 0) return 1;
  if (Math.abs(x) >= 3) return 0;
  const t = Math.PI * x;
  return (3 * Math.sin(t) * Math.sin(t / 3)) / (t * t);
}

function taps(from: number, to: number): { start: number; weights: Float64Array }[] {
  const scale = from / to;
  const stretch = Math.max(scale, 1);
  return Array.from({ length: to }, (_, i) => {
    const centre = (i + 0.5) * scale;
    const start = Math.max(Math.trunc(centre - 3 * stretch + 0.5), 0);
    const end = Math.min(Math.trunc(centre + 3 * stretch + 0.5), from);
    const weights = Float64Array.from({ length: end - start }, (_w, j) =>
      lanczos((start + j - centre + 0.5) / stretch),
    );
    const total = weights.reduce((sum, w) => sum + w, 0);
    return { start, weights: weights.map((w) => w / total) };
  });
}

/**
 * A picture at the training size: centre-cropped to its aspect, resized by Lanczos, in [-1, 1].
 *
 * @returns height * width * 3 values, channels last
 */
export function resizeForTraining(picture: Picture, height: number, width: number): Float32Array {
  // The crop first, so that nothing is stretched.
  const aspect = width / height;
  const cropWidth = Math.min(picture.width, Math.round(picture.height * aspect));
  const cropHeight = Math.min(picture.height, Math.round(picture.width / aspect));
  const left = (picture.width - cropWidth) >> 1;
  const top = (picture.height - cropHeight) >> 1;
  const across = taps(cropWidth, width);
  const down = taps(cropHeight, height);
  const rows = new Float32Array(cropHeight * width * 3);
  for (let y = 0; y < cropHeight; ++y)
    for (let x = 0; x < width; ++x) {
      const { start, weights } = across[x]!;
      const from = ((top + y) * picture.width + left + start) * 3;
      for (let c = 0; c < 3; ++c) {
        let sum = 0;
        for (let j = 0; j < weights.length; ++j)
          sum += weights[j]! * picture.rgb[from + j * 3 + c]!;
        rows[(y * width + x) * 3 + c] = sum;
      }
    }
  const out = new Float32Array(height * width * 3);
  const stride = width * 3;
  for (let y = 0; y < height; ++y) {
    const { start, weights } = down[y]!;
    for (let i = 0; i < stride; ++i) {
      let sum = 0;
      for (let j = 0; j < weights.length; ++j) sum += weights[j]! * rows[(start + j) * stride + i]!;
      out[y * stride + i] = Math.min(255, Math.max(0, sum)) / 127.5 - 1;
    }
  }
  return out;
}

/** Pictures [B, height, width, 3] in [-1, 1], ready for the encoder. */
export async function loadImages(
  files: readonly string[],
  {
    height,
    width,
    ...options
  }: { height: number; width: number; dtype: "float32" | "bfloat16"; device: Device },
): Promise<Tensor> {
  const values = new Float32Array(files.length * height * width * 3);
  for (const [i, file] of files.entries())
    values.set(resizeForTraining(await readPicture(file), height, width), i * height * width * 3);
  return tensor(values, [files.length, height, width, 3], options);
}
