// Tokenizer folders that are broken, odd or made to hurt: one ERR_CHECKPOINT that names the file.
import assert from "node:assert/strict";
import { mkdtempSync, mkdirSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { test } from "uvu";
import { ClipTokenizer, learnClip, learnT5, T5Tokenizer } from "../../ts/text/index.js";

const folder = mkdtempSync(path.join(os.tmpdir(), "srpo-text-"));
test.after(() => {
  rmSync(folder, { recursive: true, force: true });
});
const texts = ["a red fox in the snow", "the red house in the snow", "a fox, a house"];
const clip = learnClip(texts, { size: 560 });
const t5 = learnT5(texts, { size: 130 });

const write = (name: string, content: string | Uint8Array): void => {
  writeFileSync(path.join(folder, name), content);
};

async function refuses(load: () => Promise<unknown>, file: string, part: RegExp): Promise<void> {
  await assert.rejects(load, (error: Error & { code?: string }) => {
    assert.equal(error.code, "ERR_CHECKPOINT");
    assert.ok(error.message.startsWith(path.join(folder, file)), error.message);
    assert.match(error.message, part);
    assert.ok(error.message.length < 500);
    return true;
  });
}

type Vocab = Record<string, unknown>;
const vocabWith = (change: (vocab: Vocab) => void): string => {
  const vocab = JSON.parse(clip.vocabJson) as Vocab;
  change(vocab);
  return JSON.stringify(vocab);
};

const badVocabs: [string, string | Uint8Array, RegExp][] = [
  ["no JSON", '{"a": ', /expected JSON/],
  ["invalid UTF-8", Uint8Array.of(0x7b, 0xff, 0x7d), /UTF-8/],
  ["a list", "[1]", /expected an object/],
  ["null", "null", /expected an object/],
  ["nothing", "{}", /missing/],
  ["deep nesting", "[".repeat(1_000_000), /expected/],
  ["a text as id", vocabWith((v) => (v.a = "7")), /expected an id/],
  ["a fraction as id", vocabWith((v) => (v.a = 0.5)), /expected an id/],
  ["a huge id", vocabWith((v) => (v.a = 1e300)), /expected an id/],
  ["one id twice", vocabWith((v) => (v.a = 1)), /have one id/],
  ["a token twice", clip.vocabJson.replace("{", '{"a": 0, '), /each token once/],
  ["no end token", vocabWith((v) => delete v["<|endoftext|>"]), /endoftext/],
  ["a byte missing", clip.vocabJson.replace('"a":', '"not there":'), /expected the token "a"/],
];
for (const [name, content, part] of badVocabs)
  test(`vocab.json: ${name}`, async () => {
    write("vocab.json", content);
    write("merges.txt", clip.mergesTxt);
    await refuses(() => ClipTokenizer.load(folder, { variant: "hf" }), "vocab.json", part);
  });

const badMerges: [string, string, RegExp][] = [
  ["one symbol", "#version: 0.2\na\n", /line 2: expected two symbols/],
  ["three symbols", "a b c", /line 1: expected two symbols/],
  ["an empty symbol", " a", /expected two symbols/],
  ["an unknown part", "a zzzz", /"zzzz" is not in vocab/],
  ["an unknown product", "Q Q", /"QQ" is not in vocab/],
  ["a merge twice", `${clip.mergesTxt}${clip.mergesTxt.split("\n")[1]!}\n`, /there twice/],
];
for (const [name, content, part] of badMerges)
  test(`merges.txt: ${name}`, async () => {
    write("vocab.json", clip.vocabJson);
    write("merges.txt", content);
    await refuses(() => ClipTokenizer.load(folder, { variant: "hf" }), "merges.txt", part);
  });

test("merges in an odd order still end, and cover the text", async () => {
  const lines = clip.mergesTxt.trim().split("\n").slice(1);
  lines.reverse();
  write("vocab.json", clip.vocabJson);
  write("merges.txt", lines.join("\r\n"));
  const tokenizer = await ClipTokenizer.load(folder, { variant: "hf", maxLength: 4096 });
  assert.ok(tokenizer.encode("the red fox ".repeat(100)).length > 300);
});

type Tokenizer = Record<string, unknown> & { model: Record<string, unknown> };
const t5With = (change: (file: Tokenizer) => void): string => {
  const file = JSON.parse(t5) as Tokenizer;
  change(file);
  return JSON.stringify(file);
};
const badT5: [string, string, RegExp][] = [
  ["no JSON", "{", /expected JSON/],
  ["no model", "{}", /Unigram/],
  ["another model", t5With((f) => (f.model.type = "BPE")), /Unigram/],
  ["no vocabulary", t5With((f) => delete f.model.vocab), /model.vocab/],
  ["a wrong piece", t5With((f) => (f.model.vocab = [["a", "b"]])), /model.vocab\[0\]/],
  ["a long piece", t5With((f) => (f.model.vocab = [["a".repeat(257), 0]])), /1 to 256/],
  ["a piece twice", t5With((f) => (f.model.vocab = [0, 1].map(() => ["a", 0]))), /there twice/],
  ["an unknown id out of range", t5With((f) => (f.model.unk_id = 1e6)), /unk_id/],
  ["no end token", t5.replaceAll('"</s>"', '"<s>"'), /"<\/s>".*missing/],
  ["another normalizer", t5With((f) => (f.normalizer = { type: "Magic" })), /normalizer/],
  [
    "a regular expression of its own",
    t5With((f) => (f.normalizer = { type: "Replace", pattern: { Regex: "(a+)+$" }, content: "" })),
    /Replace/,
  ],
  [
    "a broken character map",
    t5With((f) => (f.normalizer = { type: "Precompiled", precompiled_charsmap: "/////w==" })),
    /precompiled_charsmap/,
  ],
  ["another pre-tokenizer", t5With((f) => (f.pre_tokenizer = { type: "Magic" })), /pre_token/],
  ["a wrong added token", t5With((f) => (f.added_tokens = [{ content: "x", id: -1 }])), /an id/],
];
for (const [name, content, part] of badT5)
  test(`tokenizer.json: ${name}`, async () => {
    write("tokenizer.json", content);
    await refuses(() => T5Tokenizer.load(folder), "tokenizer.json", part);
  });

test("a cyclic character map reads nothing outside itself and ends", async () => {
  const map = Buffer.alloc(4 + 1024, 0x61);
  map.writeUInt32LE(1024, 0);
  const normalizer = { type: "Precompiled", precompiled_charsmap: map.toString("base64") };
  write(
    "tokenizer.json",
    t5With((f) => (f.normalizer = normalizer)),
  );
  const tokenizer = await T5Tokenizer.load(folder);
  assert.equal(tokenizer.encode("aaaa é \u{1f431}".repeat(100)).at(-1), tokenizer.endId);
});

test("files that are too large, folders and missing files are named", async () => {
  const load = () => T5Tokenizer.load(folder);
  truncateSync(path.join(folder, "tokenizer.json"), 100_000_000);
  await refuses(load, "tokenizer.json", /expected at most 33554432 bytes, got 100000000/);
  rmSync(path.join(folder, "tokenizer.json"));
  await refuses(load, "tokenizer.json", /ENOENT/);
  mkdirSync(path.join(folder, "tokenizer.json"));
  await refuses(load, "tokenizer.json", /regular file/);
  rmSync(path.join(folder, "tokenizer.json"), { recursive: true });
});

test("a megabyte without a blank is encoded in linear time", async () => {
  write("vocab.json", clip.vocabJson);
  write("merges.txt", clip.mergesTxt);
  write("tokenizer.json", t5);
  const started = performance.now();
  const both = [
    await ClipTokenizer.load(folder, { variant: "hf" }),
    await T5Tokenizer.load(folder, { maxLength: 77 }),
  ];
  for (const unit of ["a", "é", "\u0301", "-", "\u{1f431}"])
    for (const tokenizer of both)
      assert.ok(tokenizer.encode(unit.repeat(1_000_000 / unit.length)).length <= 77);
  assert.ok(performance.now() - started < 60_000);
});

test("options out of range are refused", async () => {
  const load = (options: object) => ClipTokenizer.load(folder, { variant: "hf", ...options });
  await assert.rejects(load({ maxLength: 1 }), RangeError);
  await assert.rejects(load({ pad: 560 }), RangeError);
  await assert.rejects(load({ variant: "bert" }), TypeError);
  await assert.rejects(T5Tokenizer.load(folder, { maxLength: 0 }), RangeError);
});

test.run();
