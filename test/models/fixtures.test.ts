import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import path from "node:path";
import { suite } from "uvu";
import { packageRoot } from "../../ts/native/load.js";
import { verifyPath } from "../../ts/verify/verify.js";
import { forEachDevice } from "../support/index.js";

const golden = path.join(packageRoot, "test", "golden");
// The largest stand beside the project only; see README, tests.
const beside = path.resolve(packageRoot, "..", "shared", "goldens");

const here = [
  "rope",
  "flux-tiny-schnell",
  "flux-tiny-bfl",
  "flux-tiny-lora",
  "clip-text-tiny",
  "t5-encoder-tiny",
  "vae-encoder-tiny",
  "openclip-tiny",
  "hf-clip-tiny",
  "siglip-aesthetic-tiny",
  "imagereward-tiny",
];
const absent = suite("fixtures that lie beside the project");
const there = ["flux-tiny", "vae-decoder-tiny"];

forEachDevice("models against the reference implementations", (test, device) => {
  for (const name of [...here, ...there]) {
    const folder = here.includes(name) ? golden : beside;
    const file = path.join(folder, `${name}.safetensors`);
    if (!existsSync(file)) {
      absent.skip(`${name}: not beside this project`, () => {});
      continue;
    }
    test(`${name}: float32 outputs within 1e-5, gradients within 1e-4`, async () => {
      const { rows, ok } = await verifyPath(file, { device });
      const out = rows.filter((row) => !row.ok);
      assert.ok(ok, out.map((row) => JSON.stringify(row)).join("\n"));
      assert.ok(rows.length > 8, `${rows.length} rows`);
    });
    test(`${name}: bfloat16 outputs within 5e-2`, async () => {
      const { rows } = await verifyPath(file, { device, dtype: "bfloat16" });
      const out = rows.filter(({ ok, tensor }) => !ok && tensor.startsWith("out."));
      assert.equal(out.length, 0, out.map((row) => JSON.stringify(row)).join("\n"));
    });
  }
});
absent.run();
