import assert from "node:assert/strict";
import { test } from "uvu";
import { crc32, deflateSync } from "node:zlib";
import { gridOf } from "../../ts/data/grid.js";
import { decodePng, encodePng, type Picture } from "../../ts/data/png.js";
import { uniforms } from "../support/tensors.js";

function noise(width: number, height: number): Picture {
  return {
    width,
    height,
    rgb: Uint8Array.from(uniforms(width * height * 3, 3, 0, 256), Math.floor),
  };
}

test("a picture comes back as it went", () => {
  for (const [w, h] of [
    [1, 1],
    [7, 3],
    [64, 65],
  ] as const) {
    const picture = noise(w, h);
    assert.deepEqual(decodePng(encodePng(picture, { prompt: "a fox" })), picture);
  }
});

test("all five filters, grey and 16 bits are read", () => {
  const part = (type: string, data: Buffer) => {
    const body = Buffer.concat([Buffer.from(type), data]);
    const [length, sum] = [Buffer.alloc(4), Buffer.alloc(4)];
    length.writeUInt32BE(data.length);
    sum.writeUInt32BE(crc32(body));
    return Buffer.concat([length, body, sum]);
  };
  const png = (header: number[], rows: number[]) =>
    Buffer.concat([
      Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]),
      part("IHDR", Buffer.from([0, 0, 0, 2, 0, 0, 0, 5, ...header, 0, 0, 0])),
      part("IDAT", deflateSync(Buffer.from(rows))),
      part("IEND", Buffer.alloc(0)),
    ]);
  // Two grey pixels a row, every row 10 20 after its filter is undone.
  const rows = [0, 10, 20, 1, 10, 10, 2, 0, 0, 3, 5, 5, 4, 0, 0];
  const grey = decodePng(png([8, 0], rows));
  assert.deepEqual(
    Array.from(grey.rgb).filter((_, i) => i % 3 === 0),
    Array.from({ length: 10 }, (_, i) => (i % 2 === 0 ? 10 : 20)),
  );
  const deep = decodePng(
    png(
      [16, 0],
      Array.from({ length: 25 }, (_, i) => i % 5),
    ),
  );
  assert.deepEqual([...deep.rgb.subarray(0, 6)], [1, 1, 1, 3, 3, 3]);
});

test("damaged files are named, none crashes", () => {
  const good = encodePng(noise(16, 16));
  const code = { code: "ERR_IMAGE" };
  assert.throws(() => decodePng(Buffer.from("GIF89a"), "x.png"), code);
  for (let i = 8; i < good.length; i += 3) {
    const bad = Buffer.from(good);
    bad[i] = bad[i]! ^ 0x55;
    assert.throws(() => decodePng(bad), code, `byte ${i}`);
    assert.throws(() => decodePng(good.subarray(0, i)), code, `cut at ${i}`);
  }
});

test("a grid puts pictures in rows", () => {
  const grid = gridOf([noise(2, 2), noise(2, 2), noise(2, 2)], 2, 1);
  assert.deepEqual([grid.width, grid.height], [5, 5]);
  assert.deepEqual(grid.rgb.subarray(0, 6), noise(2, 2).rgb.subarray(0, 6));
});

test("text: Latin-1 as tEXt, the rest of the world as iTXt in UTF-8", () => {
  const picture = { width: 1, height: 1, rgb: Uint8Array.of(1, 2, 3) };
  const latin = encodePng(picture, { prompt: "caf\u00e9" });
  assert.ok(latin.includes(Buffer.from("tEXtprompt\0caf\u00e9", "latin1")));
  const greek = encodePng(picture, { prompt: "\u03b1\u03b2" });
  assert.ok(greek.includes(Buffer.from("iTXtprompt\0\0\0\0\0\u03b1\u03b2", "utf8")));
  for (const png of [latin, greek]) assert.deepEqual(decodePng(png), picture);
});

test.run();
