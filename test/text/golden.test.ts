// The reference tokenizers' ids for 67 texts, in every variant. The public vocabularies are no part of
// this package; without them these tests count as skipped.
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import { test } from "uvu";
import { packageRoot } from "../../ts/native/load.js";
import { ClipTokenizer, T5Tokenizer, type ClipVariant } from "../../ts/text/index.js";

interface Row extends Partial<Record<string, number[] | string>> {
  readonly text: string;
  readonly open_clip: number[];
  readonly t5: number[];
}
const golden = JSON.parse(
  readFileSync(path.join(packageRoot, "test/golden/tokenizers.json"), "utf8"),
) as { rows: Row[] };

const vocabularies = path.join(packageRoot, "../shared/spec/tokenizers");
const run = (name: string, body: () => Promise<void>): void => {
  if (existsSync(vocabularies)) test(name, body);
  else test.skip(name, body);
};

const variants: Record<string, ClipVariant> = {
  open_clip: "open_clip",
  hpsv2: "open_clip",
  hf_slow_ftfy: "hf",
  hf_slow_basic: "hf_basic",
  hf_fast: "hf_fast",
};

for (const [name, variant] of Object.entries(variants))
  run(`CLIP as ${name}: all golden rows`, async () => {
    const tokenizer = await ClipTokenizer.load(path.join(vocabularies, "clip"), { variant });
    // A variant is listed in a row only where it differs from open_clip.
    for (const row of golden.rows)
      assert.deepEqual(tokenizer.encode(row.text), row[name] ?? row.open_clip, row.text);
  });

run("T5: all golden rows", async () => {
  const tokenizer = await T5Tokenizer.load(path.join(vocabularies, "t5"));
  for (const row of golden.rows) assert.deepEqual(tokenizer.encode(row.text), row.t5, row.text);
});

run("a batch is padded with 0 or the end token, and masked", async () => {
  const folder = path.join(vocabularies, "clip");
  for (const [variant, pad] of [
    ["open_clip", 0],
    ["hf", 49407],
  ] as const) {
    const tokenizer = await ClipTokenizer.load(folder, { variant });
    const { ids, mask, shape } = tokenizer.encodeBatch(["a cat", "word ".repeat(200)]);
    assert.deepEqual(shape, [2, 77]);
    assert.deepEqual([...ids.subarray(0, 6)], [49406, 320, 2368, 49407, pad, pad]);
    assert.deepEqual([...mask.subarray(0, 6)], [1, 1, 1, 1, 0, 0]);
    assert.equal(ids[153], 49407);
    assert.equal(mask.subarray(77).indexOf(0), -1);
  }
});

test.run();
