import { crc32, deflateSync, inflateSync } from "node:zlib";
import { SrpoError } from "../native/error.js";

/** Rows of RGB bytes, top to bottom. */
export interface Picture {
  width: number;
  height: number;
  /** [height, width, 3] */
  rgb: Uint8Array;
}

const signature = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);

function chunk(type: string, data: Uint8Array): Buffer {
  const body = Buffer.concat([Buffer.from(type, "latin1"), data]);
  const out = Buffer.alloc(body.length + 8);
  out.writeUInt32BE(data.length, 0);
  body.copy(out, 4);
  out.writeUInt32BE(crc32(body), body.length + 4);
  return out;
}

/** tEXt where Latin-1 has every letter, else iTXt: not compressed, no language, UTF-8. */
function textChunk(key: string, value: string): Buffer {
  const latin1 = /^[\x20-\x7e\xa0-\xff\n]*$/.test(value);
  return latin1
    ? chunk("tEXt", Buffer.from(`${key}\0${value}`, "latin1"))
    : chunk("iTXt", Buffer.from(`${key}\0\0\0\0\0${value}`, "utf8"));
}

/** An 8-bit RGB PNG; `text` becomes its text entries, where a picture's prompt and seed stand. */
export function encodePng(
  { width, height, rgb }: Picture,
  text: Readonly<Record<string, string>> = {},
): Buffer {
  if (rgb.length !== width * height * 3)
    throw new SrpoError(
      "ERR_SHAPE",
      `png: rgb: expected ${width * height * 3} bytes, got ${rgb.length}`,
    );
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set([8, 2], 8); // 8 bits, RGB
  const stride = width * 3;
  // Filter 1 a row: each byte less its left neighbour, which halves photographs' size at no cost.
  const filtered = Buffer.alloc((stride + 1) * height);
  for (let y = 0; y < height; ++y) {
    const from = y * stride;
    const to = y * (stride + 1);
    filtered[to] = 1;
    for (let i = 0; i < stride; ++i)
      filtered[to + 1 + i] = rgb[from + i]! - (i >= 3 ? rgb[from + i - 3]! : 0);
  }
  const entries = Object.entries(text).map(([key, value]) => textChunk(key.slice(0, 79), value));
  const data = chunk("IDAT", deflateSync(filtered, { level: 6 }));
  return Buffer.concat([
    signature,
    chunk("IHDR", header),
    ...entries,
    data,
    chunk("IEND", Buffer.alloc(0)),
  ]);
}

function refuse(file: string, expected: string, got: string): never {
  throw new SrpoError("ERR_IMAGE", `${file}: expected ${expected}, got ${got}`);
}

// Samples a pixel by colour type; palettes and interlacing are rare among training pictures.
const samplesOf = new Map([
  [0, 1], // grey
  [2, 3], // RGB
  [4, 2], // grey, alpha
  [6, 4], // RGB, alpha
]);

// A picture of this many pixels is a mistake or an attack.
const mostPixels = 1 << 28;

function unfilter(data: Uint8Array, height: number, stride: number, step: number): void {
  for (let y = 0; y < height; ++y) {
    const filter = data[y * (stride + 1)]!;
    const at = y * (stride + 1) + 1;
    for (let i = 0; i < stride; ++i) {
      const left = i >= step ? data[at + i - step]! : 0;
      const up = y > 0 ? data[at + i - stride - 1]! : 0;
      const corner = i >= step && y > 0 ? data[at + i - stride - 1 - step]! : 0;
      let guess = 0;
      if (filter === 1) guess = left;
      else if (filter === 2) guess = up;
      else if (filter === 3) guess = (left + up) >> 1;
      else if (filter === 4) {
        const p = left + up - corner;
        const [a, b, c] = [Math.abs(p - left), Math.abs(p - up), Math.abs(p - corner)];
        guess = a <= b && a <= c ? left : b <= c ? up : corner;
      }
      data[at + i] = data[at + i]! + guess;
    }
  }
}

/** The parts of a PNG up to its end, each with a sound checksum. */
function* chunksOf(bytes: Uint8Array, file: string): Generator<{ type: string; data: Buffer }> {
  const all = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (!all.subarray(0, 8).equals(signature)) refuse(file, "a PNG file", "another kind of file");
  for (let at = 8; ;) {
    if (at + 12 > all.length) refuse(file, "a whole PNG", "one that ends early");
    const length = all.readUInt32BE(at);
    const type = all.toString("latin1", at + 4, at + 8);
    if (at + 12 + length > all.length) refuse(file, "a whole PNG", "one that ends early");
    const data = all.subarray(at + 8, at + 8 + length);
    if (crc32(all.subarray(at + 4, at + 8 + length)) !== all.readUInt32BE(at + 8 + length))
      refuse(file, `a sound ${type} part`, "one with a wrong checksum");
    if (type === "IEND") return;
    yield { type, data };
    at += 12 + length;
  }
}

/**
 * A PNG's text entries by their keys, as `encodePng` writes them; compressed ones are left out.
 *
 * @throws SrpoError ERR_IMAGE that names what is wrong
 */
export function pngText(bytes: Uint8Array, file = "png"): Readonly<Record<string, string>> {
  const entries: [string, string][] = [];
  for (const { type, data } of chunksOf(bytes, file)) {
    const end = data.indexOf(0);
    if (end < 1) continue;
    const key = data.toString("latin1", 0, end);
    if (type === "tEXt") entries.push([key, data.toString("latin1", end + 1)]);
    // Two bytes say how it is packed, then language and translated key, each ended by a zero.
    if (type !== "iTXt" || data[end + 1] !== 0) continue;
    const text = data.indexOf(0, data.indexOf(0, end + 3) + 1) + 1;
    if (text > end + 3) entries.push([key, data.toString("utf8", text)]);
  }
  return Object.fromEntries(entries);
}

/**
 * Reads a PNG of 8 or 16 bits, grey or RGB, with or without alpha (which is dropped), not interlaced.
 *
 * @param file - what messages call it
 * @throws SrpoError ERR_IMAGE that names what is wrong
 */
export function decodePng(bytes: Uint8Array, file = "png"): Picture {
  let header: Buffer | undefined;
  const parts: Buffer[] = [];
  for (const { type, data } of chunksOf(bytes, file)) {
    if (type === "IHDR") header = data;
    if (type === "IDAT") parts.push(data);
  }
  if (header === undefined || header.length !== 13) refuse(file, "a header", "none");
  const [width, height] = [header.readUInt32BE(0), header.readUInt32BE(4)];
  const [depth, colour, , , interlace] = header.subarray(8);
  const samples = samplesOf.get(colour!);
  if (samples === undefined || (depth !== 8 && depth !== 16) || interlace !== 0)
    refuse(
      file,
      "8 or 16 bits, grey or RGB, not interlaced",
      `${depth} bits, colour type ${colour}, interlace ${interlace}`,
    );
  if (width === 0 || height === 0 || width * height > mostPixels)
    refuse(file, "1 to 2^28 pixels", `${width} x ${height}`);
  const step = (samples * depth) / 8;
  const stride = width * step;
  const wanted = (stride + 1) * height;
  let data: Buffer;
  try {
    data = inflateSync(Buffer.concat(parts), { maxOutputLength: wanted + 1 });
  } catch {
    refuse(file, "readable pixels", "damaged data");
  }
  if (data.length !== wanted) refuse(file, `${wanted} bytes of pixels`, `${data.length}`);
  unfilter(data, height, stride, step);
  const rgb = new Uint8Array(width * height * 3);
  const bytesOfSample = depth / 8; // the first byte of sixteen bits is the high one
  for (let y = 0; y < height; ++y)
    for (let x = 0; x < width; ++x) {
      const from = y * (stride + 1) + 1 + x * step;
      for (let c = 0; c < 3; ++c)
        rgb[(y * width + x) * 3 + c] = data[from + (samples >= 3 ? c : 0) * bytesOfSample]!;
    }
  return { width, height, rgb };
}
