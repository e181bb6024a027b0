// Pillow 12.3's own bytes, by the first half of their SHA-256:
//   Image.fromarray(a).resize((width, height), Image.BICUBIC), a the noise of tests (seed 1000 width + height)
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { suite } from "uvu";
import { pilResize } from "../../ts/data/pil_resize.js";
import { noisePicture } from "../rewards/tiny_rewards.js";

const test = suite("pilResize");
for (const [[width, height], [toWidth, toHeight], hash] of [
  [[13, 9], [5, 4], "b12c8a317b735435"],
  [[7, 11], [16, 20], "fc39c07d4d73e535"],
  [[50, 31], [28, 28], "1d0fec5832aa64d5"],
  [[5, 5], [5, 9], "08997c3604e8c05d"],
  [[300, 200], [36, 24], "9cde48049651510f"],
] as const)
  test(`${width} x ${height} to ${toWidth} x ${toHeight}: the same bytes`, () => {
    const from = noisePicture(width, height, 1000 * width + height);
    const { rgb } = pilResize(from, toWidth, toHeight);
    assert.equal(createHash("sha256").update(rgb).digest("hex").slice(0, 16), hash);
  });

test("a picture of the right size stays as it is", () => {
  const from = noisePicture(6, 4, 1);
  assert.deepEqual(pilResize(from, 6, 4), from);
});
test.run();
