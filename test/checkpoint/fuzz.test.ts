// Headers that were good once: whatever happens to their bytes, opening them ends in an answer or in one
// clear error, and what was opened can be read.
import assert from "node:assert/strict";
import { rmSync, writeFileSync } from "node:fs";
import { suite } from "uvu";
import { SafetensorsFile } from "../../ts/checkpoint/safetensors.js";
import { synchronize } from "../../ts/tensor/device.js";
import { tensorScope } from "../../ts/tensor/scope.js";
import { uniforms } from "../support/index.js";
import { fresh } from "./files.js";

const rounds = 4000;
const test = suite("mutated safetensors files");

const header = JSON.stringify({
  __metadata__: { format: "pt", note: "é\ud83d\ude00\\\n" },
  "a.weight": { dtype: "F32", shape: [2, 3], data_offsets: [0, 24] },
  b: { dtype: "BF16", shape: [5], data_offsets: [24, 34] },
  "c d": { dtype: "I64", shape: [], data_offsets: [34, 42] },
  e: { dtype: "U8", shape: [0, 7], data_offsets: [42, 42] },
});
const pieces = [
  "{", "}", "[", "]", ",", ":", '"', "\\", "\\u0000", "\\ud800", "null", "-1", "1e9", "0.5", "\ufeff",
  "9007199254740993", "18446744073709551616", "4294967296", '"a.weight"', '"dtype"', '"shape"', "F64",
  "__metadata__", "[".repeat(50), " ".repeat(70), "F8_E4M3", '"b":{},', "24", "34", "0",
].map((text) => Buffer.from(text)); // prettier-ignore

function file(text: Buffer): Buffer {
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(text.length));
  return Buffer.concat([length, text, Buffer.alloc(42, 1)]);
}

/** One to four changes: bytes flipped, cut out, doubled, replaced by a piece of JSON; length kept or not. */
function mutate(next: () => number): Buffer {
  const below = (n: number) => Math.floor(next() * n);
  let text = Buffer.from(header);
  let whole: Buffer | undefined;
  for (let change = below(4); change >= 0; --change) {
    const at = below(text.length + 1);
    const end = Math.min(text.length, at + below(below(3) === 0 ? 60 : 6));
    const kind = below(6);
    if (kind === 0 && at < text.length) text[at] = below(256);
    else if (kind === 1) text = Buffer.concat([text.subarray(0, at), text.subarray(end)]);
    else if (kind === 2) text = Buffer.concat([text.subarray(0, end), text.subarray(at)]);
    else {
      const piece = pieces[below(pieces.length)]!;
      const rest = kind === 3 ? text.subarray(at) : text.subarray(end);
      text = Buffer.concat([text.subarray(0, at), piece, rest]);
    }
  }
  whole = file(text);
  if (below(4) === 0) whole[below(8)] = below(256);
  return below(5) === 0 ? whole.subarray(0, below(whole.length + 1)) : whole;
}

test(`${rounds} of them are read or refused in one line`, async () => {
  const numbers = uniforms(rounds * 40, 20);
  let used = 0;
  const next = () => numbers[used++ % numbers.length]!;
  const path = fresh("fuzz.safetensors");
  let opened = 0;
  for (let round = 0; round < rounds; ++round) {
    using scope = tensorScope();
    void scope;
    writeFileSync(path, mutate(next));
    let store: SafetensorsFile;
    try {
      store = SafetensorsFile.open(path);
    } catch (error) {
      const { code, message } = error as { code?: string; message: string };
      assert.equal(code, "ERR_CHECKPOINT", message);
      const form = message.startsWith(`${path}: `) && /: expected .+, got .+$/s.test(message);
      assert.ok(form && !message.includes("\n"), message);
      continue;
    }
    ++opened;
    for (const name of store.names())
      if (!["C64", "F8_E8M0"].includes(store.info(name).dtype) && store.shape(name).length <= 6)
        store.read(name);
    // An I64 of these bytes does not fit int32: the error of the data, not of the header.
    await synchronize("cpu").catch((error: unknown) => {
      assert.equal((error as { code?: string }).code, "ERR_CHECKPOINT");
    });
    store.close();
  }
  rmSync(path);
  assert.ok(opened > 10 && opened < rounds / 2, `${opened} were opened`);
});

test.run();
