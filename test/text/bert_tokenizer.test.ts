// WordPiece against the library "tokenizers" 0.22.2 (BertNormalizer, BertPreTokenizer, WordPiece) on a small
// vocabulary of our own; bert-base-uncased's is other people's.
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { suite } from "uvu";
import { BertTokenizer } from "../../ts/text/bert_tokenizer.js";

const test = suite("BertTokenizer");
const folder = mkdtempSync(path.join(os.tmpdir(), "srpo-bert-"));
process.once("exit", () => rmSync(folder, { recursive: true, force: true }));
const vocabulary = (text: string) => writeFileSync(path.join(folder, "vocab.txt"), text);

const tokens =
  "[PAD] [UNK] [CLS] [SEP] [MASK] a red fox in the snow , . ! - ' s cat ##s ##ing ##o ##ow run ##n ##er paint ##ed cafe o n e d x 1 2 3 ##1 ##2 ##3 # ##x ##a ##e \u732b $ ^ ` ( ) \u03c3 ##\u03c2 \u03c2 naive \u00fcber uber i ##i".split(
    " ",
  );

const rows: readonly (readonly [text: string, ids: readonly number[]])[] = [
  ["a red fox in the snow", [5, 6, 7, 8, 9, 10]],
  ["A Red FOX, in the snow!", [5, 6, 7, 11, 8, 9, 10, 13]],
  ["cats running", [17, 18, 22, 23, 19]],
  ["painting painted", [25, 19, 25, 26]],
  ["caf\u00e9 na\u00efve \u00dcber", [27, 52, 54]],
  ["the \u732bcat\u732b", [9, 43, 17, 43]],
  ["fox[SEP]cat [ENC] snow[mask] [MASK]", [7, 3, 17, 58, 10, 1, 1, 1, 4]],
  ["a\tred\u00a0fox\u2003in\u0000\u200b the\u2028snow", [5, 6, 7, 8, 9, 10]],
  [" ", []],
  ["", []],
  ["\u039f\u0394\u039f\u03a3 \u03c3\u03c2", [1, 49, 50]],
  ["$1^2`(3)", [44, 33, 45, 34, 46, 47, 35, 48]],
  ["fox's cat-snow", [7, 15, 16, 17, 14, 10]],
  ["\u0130i", [55, 56]],
  ["snow\ufffd", [10]],
  ["fox\u0085cat\u001csnow", [1]],
  ["\ud83e\udd8a fox", [1, 7]],
];

test("ids as the reference's", async () => {
  vocabulary(`${tokens.join("\n")}\n`);
  const tokenizer = await BertTokenizer.load(folder);
  assert.equal(tokenizer.vocabularySize, tokens.length + 2);
  for (const [text, ids] of rows)
    assert.deepEqual(tokenizer.encode(text), [2, ...ids, 3], JSON.stringify(text));
});

test("a long word is unknown, a long text ends in the end token, a short one is padded", async () => {
  vocabulary(tokens.join("\r\n"));
  const tokenizer = await BertTokenizer.load(folder, { maxLength: 6 });
  assert.deepEqual(tokenizer.encode("x".repeat(101)), [2, 1, 3]);
  const { ids, mask, shape } = tokenizer.encodeBatch(["a a a a a a a", "a"]);
  assert.deepEqual([...ids], [2, 5, 5, 5, 5, 3, 2, 5, 3, 0, 0, 0]);
  assert.deepEqual([...mask], [1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0]);
  assert.deepEqual(shape, [2, 6]);
});

for (const [what, text, message] of [
  [
    "a special token that is missing",
    "[PAD]\n[UNK]\n[CLS]\na\n",
    'expected the token "[SEP]", it is missing',
  ],
  ["a token that is there twice", "[PAD]\na\na\n", 'line 3: the token "a" is there twice'],
  ["an empty line", "[PAD]\n\na\n", "line 2: expected a token, got an empty line"],
] as const)
  test(`${what} is refused by name`, async () => {
    vocabulary(text);
    await assert.rejects(BertTokenizer.load(folder), {
      code: "ERR_CHECKPOINT",
      message: `${path.join(folder, "vocab.txt")}: ${message}`,
    });
  });
test.run();
