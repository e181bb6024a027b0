// What came in a checkpoint's place is named, with what to do.
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { suite } from "uvu";
import { SafetensorsFile } from "../../ts/checkpoint/safetensors.js";
import { openTensors } from "../../ts/checkpoint/sharded.js";
import { fresh, raw } from "./files.js";
import { pickleOf, tensorOf, torchOf } from "./torch_bytes.js";

const test = suite("files that are something else");

const wrong: readonly (readonly [string, string | Uint8Array, RegExp])[] = [
  [
    "a Git LFS pointer",
    "version https://git-lfs.github.com/spec/v1\noid sha256:ab\nsize 23802816640\n",
    /a Git LFS pointer, not the file itself of 23802816640 bytes; run "git lfs pull"/,
  ],
  [
    "an HTML page",
    "\n<!DOCTYPE html><html><head><title>Access  denied</title></head></html>",
    /an HTML page \("Access {2}denied"\) saved in its place; accept the model's terms.+token/,
  ],
  ["an XML answer", '<?xml version="1.0"?><Error/>', /an XML answer of a server/],
  [
    "the hub's JSON",
    '{"error":"Access to model black-forest-labs/FLUX.1-dev is restricted"}',
    /JSON text \(\{"error":"Access to model/,
  ],
  ["the hub's text", "Invalid username or password.", /plain text \(Invalid username/],
  ["nothing", "", /an empty file; download it again/],
  ["zero bytes", Buffer.alloc(4096), /zero bytes at its start; the download was cut/],
  ["GGUF", "GGUF\x03\x00\x00\x00", /a GGUF file/],
  ["gzip", Buffer.from([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0]), /a gzip file/],
  [
    "a pickle",
    pickleOf({ dict: [] }),
    /older than version 1\.6.+python -c 'import torch; torch\.save\(torch\.load\("\d+-x\.bin"/,
  ],
];
for (const [name, content, part] of wrong)
  test(`${name}, opened by either door`, () => {
    const file = fresh("x.bin");
    writeFileSync(file, content);
    for (const open of [openTensors, (f: string) => SafetensorsFile.open(f)])
      assert.throws(
        () => open(file),
        (error: Error & { code?: string }) => {
          assert.equal(error.code, "ERR_CHECKPOINT");
          assert.ok(error.message.startsWith(`${file}: file: expected a safetensors or PyTorch`));
          assert.match(error.message, part);
          assert.ok(!error.message.includes("\n"));
          return true;
        },
      );
  });

test("a name that says otherwise does not matter", () => {
  const torch = fresh("model.safetensors");
  const matrix = tensorOf({ elements: 2, shape: [2], strides: [1] });
  writeFileSync(torch, torchOf(pickleOf({ dict: [["a", matrix]] }), { "0": new Uint8Array(8) }));
  using first = openTensors(torch);
  assert.deepEqual(first.shape("a"), [2]);
  const header = JSON.stringify({ b: { dtype: "F32", shape: [1], data_offsets: [0, 4] } });
  using second = openTensors(raw(header, 4));
  assert.deepEqual(second.shape("b"), [1]);
});

test("a file that was cut names the tensor", () => {
  const header = JSON.stringify({
    "a.weight": { dtype: "F32", shape: [9], data_offsets: [0, 36] },
  });
  assert.throws(
    () => openTensors(raw(header, 20)),
    /a\.weight: expected data_offsets within the 20 bytes of data.+; the file was cut, download it again/,
  );
});
test.run();
