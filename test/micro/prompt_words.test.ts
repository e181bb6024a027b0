// A prompt file of the user's own, for a model of the micro world: words that it does not know are named.
import assert from "node:assert/strict";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { suite } from "uvu";
import { promptsOf } from "../../ts/micro/evaluation/evaluate.js";
import { initMicro } from "../../ts/micro/init.js";
import { isOfMicroWorld, microPromptsFile, unknownWordLines } from "../../ts/micro/prompt_words.js";
import { vocabularyTexts } from "../../ts/micro/pretrain/vocabulary.js";
import { readPrompts } from "../../ts/text/prompts.js";
import { at, fails, run, small, succeed } from "../support/cli.js";

const test = suite("the micro world's words");
const model = at("world");
test.before(() => initMicro(model, { seed: 1n, dtype: "float32", texts: vocabularyTexts() }));

const train = (...more: string[]) => ["train", ...small, "--model", model, "--steps", "1", ...more];
const file = (name: string, text: string): string => {
  writeFileSync(at(name), text);
  return at(name);
};

test("a model is of the world by its tokenizer", async () => {
  assert.ok(isOfMicroWorld(model));
  assert.ok(!isOfMicroWorld(at("nowhere")));
  await succeed("init", "micro", at("other"));
  assert.ok(!isOfMicroWorld(at("other")));
});

test("the shipped prompts are captions of the training split, in words of the world", async () => {
  const prompts = await readPrompts(microPromptsFile);
  assert.deepEqual(
    prompts,
    promptsOf("training", 240).map(({ caption }) => caption),
  );
  const texts = prompts.map((text) => ({ place: "", text }));
  assert.deepEqual(unknownWordLines(texts), []);
});

test("each unknown word once, where it stands, with the nearest known one", () => {
  const texts = ["a Big red ball", "a bigg crimson ball, at dusk", "crimson! bigg"].map(
    (text, i) => ({ place: `line ${i + 1}`, text }),
  );
  assert.deepEqual(unknownWordLines(texts), [
    "  bigg (line 2, line 3); did you mean big?",
    "  crimson (line 2)",
    "  crimson! (line 3)",
  ]);
  const many = Array.from({ length: 40 }, (_, i) => ({ place: `line ${i}`, text: `x${i}x` }));
  assert.equal(unknownWordLines(many).at(-1), "  and 10 words more");
});

test("train names them all at once, and writes nothing", async () => {
  const prompts = file("own.txt", "# mine\na big red ball on sand\n\na larg green cub on grass\n");
  const said = await fails(2, /got others; --allow-unknown-words/, [
    ...train("--prompts", prompts, "--out", at("never")),
  ]);
  assert.match(said, /own\.txt: expected words that the micro world has/);
  assert.match(said, /^ {2}larg \(line 4\)$|^ {2}larg \(line 4\); did you mean /m);
  assert.match(said, /^ {2}cub \(line 4\); did you mean cube\?$/m);
  const grid = file("grid.txt", "a quiet lake\n");
  await fails(2, /grid\.txt: .*\n {2}quiet \(line 1\)/, train("--sample-prompts", grid));
  assert.ok(!existsSync(at("never")));
});

test("asked to, it trains on them; known words need no asking; another model takes any", async () => {
  const odd = file("odd.txt", "a quiet lake\n");
  const known = file("known.txt", "a big red ball on sand\n");
  await succeed(...train("--prompts", odd, "--allow-unknown-words", "--out", at("odd")));
  await succeed(...train("--prompts", known, "--out", at("known"), "--method", "direct-align"));
  const other = train("--prompts", odd, "--out", at("any")).map((arg) =>
    arg === model ? at("other") : arg,
  );
  await succeed(...other);
});

test("without prompts a run is on the world's captions, and says so in its options", async () => {
  await succeed(...train("--out", at("plain")));
  assert.match(readFileSync(at("plain/config.yaml"), "utf8"), /^prompts: .*micro\.txt$/m);
});

test("captions of pictures are checked too; sample and preprocess only say", async () => {
  mkdirSync(at("pictures"));
  writeFileSync(at("pictures/a.png"), "");
  writeFileSync(at("pictures/a.txt"), "a tiny ball");
  await fails(2, / {2}tiny \(a\.png\)/, train("--images", at("pictures")));
  const drawing = "--steps 1 --height 32 --width 32".split(" ");
  const drawn = await run(
    "sample",
    "a tiny ball",
    "--model",
    model,
    "--out",
    at("drawn"),
    ...drawing,
  );
  assert.equal(drawn.code, 0, drawn.stderr);
  assert.match(drawn.stderr, /^words that the micro world does not have:\n {2}tiny \(prompt 1\)/m);
});

test.run();
