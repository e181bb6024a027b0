// Vocabularies learned from the package's own prompts: the same every time, complete, and read alike by
// us and by @huggingface/tokenizers.
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { Tokenizer } from "@huggingface/tokenizers";
import { test } from "uvu";
import {
  ClipTokenizer,
  learnClip,
  learnT5,
  readPrompts,
  shippedPromptsFile,
  T5Tokenizer,
  writeLearnedClip,
  writeLearnedT5,
} from "../../ts/text/index.js";

const folder = mkdtempSync(path.join(os.tmpdir(), "srpo-learn-"));
test.after(() => {
  rmSync(folder, { recursive: true, force: true });
});
const prompts = await readPrompts(shippedPromptsFile);
const clipSize = await writeLearnedClip(folder, prompts, { size: 1024 });
await writeLearnedT5(folder, prompts, { size: 800 });

const texts = [
  ...prompts,
  "",
  "   two  blanks and\ta tab\n",
  "Words That Were Never There: zyxwv, 1234567890, don't, we'll!",
  "café, naïve, “quoted” … ½",
  "中文 and \u{1f431}\u{1f436} pictures",
];
const read = (name: string): string => readFileSync(path.join(folder, name), "utf8");

test("learning is deterministic", () => {
  assert.deepEqual(learnClip(prompts, { size: 700 }), learnClip([...prompts], { size: 700 }));
  assert.equal(learnT5(prompts, { size: 400 }), learnT5([...prompts], { size: 400 }));
});

test("the CLIP vocabulary has its size, all bytes, and the special tokens at the end", () => {
  const vocab = JSON.parse(read("vocab.json")) as Record<string, number>;
  assert.equal(clipSize, 1024);
  assert.equal(Object.keys(vocab).length, 1024);
  assert.equal(vocab["<|startoftext|>"], 1022);
  assert.equal(vocab["<|endoftext|>"], 1023);
  assert.equal(read("merges.txt").trimEnd().split("\n").length, 1024 - 514 + 1);
});

test("learned merges shorten the texts they come from", async () => {
  const tokenizer = await ClipTokenizer.load(folder, { variant: "open_clip" });
  const letters = prompts.join("").length;
  const ids = prompts.reduce((sum, prompt) => sum + tokenizer.encode(prompt).length - 2, 0);
  assert.ok(ids < letters / 2.5, `${String(ids)} ids for ${String(letters)} letters`);
  assert.deepEqual(tokenizer.encode("").length, 2);
});

test("a text fits up to the last token that there is room for", async () => {
  const long = "a red fox ".repeat(40);
  const whole = await T5Tokenizer.load(folder);
  const t5 = (maxLength: number) => T5Tokenizer.load(folder, { maxLength });
  const length = whole.encode(long).length;
  assert.equal((await t5(length)).fits(long), true);
  assert.equal((await t5(length - 1)).fits(long), false);
  assert.equal((await t5(1)).fits(""), true);
  const clip = (maxLength: number) =>
    ClipTokenizer.load(folder, { variant: "open_clip", maxLength });
  const ids = (await clip(1000)).encode(long).length;
  assert.equal((await clip(ids)).fits(long), true);
  assert.equal((await clip(ids - 1)).fits(long), false);
  assert.equal((await clip(2)).fits(""), true);
});

test("learned T5 pieces shorten the texts too, and leave nothing unknown", async () => {
  const tokenizer = await T5Tokenizer.load(folder);
  const letters = prompts.join("").length;
  const ids = prompts.flatMap((prompt) => tokenizer.encode(prompt));
  assert.ok(ids.length < letters / 2.5, `${String(ids.length)} ids for ${String(letters)} letters`);
  assert.ok(!ids.includes(2));
  // At most 800: pieces that the last round does not use are dropped.
  assert.ok(tokenizer.vocabularySize <= 800 && tokenizer.vocabularySize > 780);
  assert.deepEqual(tokenizer.encode("<unk></s>"), [2, 1, 1]);
});

test("Hugging Face's tokenizers reads the CLIP files alike", async () => {
  const file = {
    version: "1.0",
    truncation: null,
    padding: null,
    added_tokens: [],
    normalizer: {
      type: "Sequence",
      normalizers: [
        { type: "NFC" },
        { type: "Replace", pattern: { Regex: "\\s+" }, content: " " },
        { type: "Lowercase" },
      ],
    },
    pre_tokenizer: {
      type: "Sequence",
      pretokenizers: [
        {
          type: "Split",
          pattern: {
            Regex: "'s|'t|'re|'ve|'m|'ll|'d|[\\p{L}]+|[\\p{N}]|[^\\s\\p{L}\\p{N}]+",
          },
          behavior: "Removed",
          invert: true,
        },
        { type: "ByteLevel", add_prefix_space: false, trim_offsets: true },
      ],
    },
    post_processor: null,
    decoder: null,
    model: {
      type: "BPE",
      dropout: null,
      unk_token: "<|endoftext|>",
      continuing_subword_prefix: "",
      end_of_word_suffix: "</w>",
      fuse_unk: false,
      vocab: JSON.parse(read("vocab.json")) as Record<string, number>,
      merges: read("merges.txt").trimEnd().split("\n").slice(1),
    },
  };
  const theirs = new Tokenizer(file, {});
  const ours = await ClipTokenizer.load(folder, { variant: "hf_fast", maxLength: 1000 });
  for (const text of texts)
    assert.deepEqual(ours.encode(text).slice(1, -1), theirs.encode(text).ids, text);
});

test("Hugging Face's tokenizers reads the T5 file alike", async () => {
  const theirs = new Tokenizer(JSON.parse(read("tokenizer.json")) as object, {});
  const ours = await T5Tokenizer.load(folder, { maxLength: 1000 });
  for (const text of texts) assert.deepEqual(ours.encode(text), theirs.encode(text).ids, text);
});

test("a size that cannot hold the alphabet is refused", () => {
  assert.throws(() => learnClip(prompts, { size: 513 }), RangeError);
  assert.throws(() => learnT5(prompts, { size: 10 }), RangeError);
});

test.run();
