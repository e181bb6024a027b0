import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { suite } from "uvu";
import { listImages, loadImages, readPicture, resizeForTraining } from "../../ts/data/images.js";
import { encodePng, type Picture } from "../../ts/data/png.js";

const test = suite("images");
const folder = mkdtempSync(path.join(os.tmpdir(), "srpo-images-"));
test.after(() => {
  rmSync(folder, { recursive: true });
});

/** A picture whose bytes are what `of` says of row, column and channel. */
function picture(
  height: number,
  width: number,
  of: (y: number, x: number, c: number) => number,
): Picture {
  const rgb = new Uint8Array(height * width * 3);
  for (let y = 0; y < height; ++y)
    for (let x = 0; x < width; ++x)
      for (let c = 0; c < 3; ++c) rgb[(y * width + x) * 3 + c] = of(y, x, c);
  return { height, width, rgb };
}

test("its own size: the bytes in [-1, 1]", () => {
  const own = picture(5, 7, (y, x, c) => (y * 31 + x * 7 + c * 50) & 255);
  const values = resizeForTraining(own, 5, 7);
  values.forEach((v, i) => assert.ok(Math.abs(v - (own.rgb[i]! / 127.5 - 1)) < 1e-6));
});

test("one colour stays that colour at every size, larger and smaller", () => {
  const grey = picture(9, 13, (_y, _x, c) => 40 + 60 * c);
  for (const [height, width] of [
    [4, 6],
    [33, 20],
    [1, 1],
  ] as const) {
    const values = resizeForTraining(grey, height, width);
    assert.equal(values.length, height * width * 3);
    values.forEach((v, i) => assert.ok(Math.abs(v - ((40 + 60 * (i % 3)) / 127.5 - 1)) < 1e-5));
  }
});

test("a wide picture is cropped at its centre, nothing is stretched", () => {
  // White but for its middle square.
  const wide = picture(8, 24, (_y, x) => (x >= 8 && x < 16 ? 0 : 255));
  assert.ok(resizeForTraining(wide, 8, 8).every((v) => v === -1));
  const tall = picture(24, 8, (y) => (y >= 8 && y < 16 ? 0 : 255));
  assert.ok(resizeForTraining(tall, 8, 8).every((v) => v === -1));
});

test("a folder: by name, captions in one line, what is wrong named at once", async () => {
  assert.throws(() => listImages(path.join(folder, "no")), { code: "ERR_CONFIG" });
  assert.throws(() => listImages(folder), /expected \.png, \.jpg or \.webp files/);
  const png = encodePng(picture(4, 4, () => 255));
  for (const name of ["b", "a"]) writeFileSync(path.join(folder, `${name}.png`), png);
  assert.throws(() => listImages(folder), /got none for a\.png, b\.png/);
  for (const name of ["b", "a"])
    writeFileSync(path.join(folder, `${name}.txt`), ` of\n ${name} \n`);
  const found = listImages(folder);
  assert.deepEqual(
    found.map(({ caption }) => caption),
    ["of a", "of b"],
  );
  const size = { height: 2, width: 2, dtype: "float32", device: "cpu" } as const;
  const images = await loadImages(
    found.map(({ file }) => file),
    size,
  );
  assert.deepEqual(images.shape, [2, 2, 2, 3]);
  assert.ok((await images.read()).every((v) => v === 1));
});

test("another kind of file without its package is refused with what to do", async () => {
  writeFileSync(path.join(folder, "c.jpg"), "no picture");
  await assert.rejects(readPicture(path.join(folder, "c.jpg")), /c\.jpg/);
});

test.run();
