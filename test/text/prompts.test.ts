import assert from "node:assert/strict";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { test } from "uvu";
import { packageRoot } from "../../ts/native/load.js";
import { ClipTokenizer, readPrompts, shippedPromptsFile } from "../../ts/text/index.js";

const folder = mkdtempSync(path.join(os.tmpdir(), "srpo-prompts-"));
test.after(() => {
  rmSync(folder, { recursive: true, force: true });
});
const file = path.join(folder, "prompts.txt");
const read = (content: string | Uint8Array): Promise<string[]> => {
  writeFileSync(file, content);
  return readPrompts(file);
};

test("blank lines, comments, a byte order mark and carriage returns are dropped", async () => {
  const content = "\ufeffa red fox\r\n\r\n# a comment\n  a blue hare  \n\n  # another\nlast";
  assert.deepEqual(await read(content), ["a red fox", "a blue hare", "last"]);
});

test("invalid UTF-8 is refused with its line", async () => {
  const bytes = Buffer.concat([Buffer.from("é\n\nok "), Buffer.of(0xc3), Buffer.from("\nmore")]);
  await assert.rejects(read(bytes), {
    code: "ERR_CONFIG",
    message: `${file}: line 3: expected UTF-8 text, got invalid bytes`,
  });
});

for (const content of ["", "\ufeff", "\n\n  \n", "# only\n# comments\n"])
  test(`a file without a prompt is refused: ${JSON.stringify(content)}`, async () => {
    await assert.rejects(read(content), {
      code: "ERR_CONFIG",
      message: `${file}: expected at least one prompt, one a line, got none`,
    });
  });

test("a missing file and a folder are named", async () => {
  const missing = path.join(folder, "not-there.txt");
  await assert.rejects(readPrompts(missing), {
    code: "ERR_CONFIG",
    message: `${missing}: cannot be read (ENOENT)`,
  });
  await assert.rejects(readPrompts(folder), { code: "ERR_CONFIG" });
});

test("the shipped prompts are many, different and plain", async () => {
  const prompts = await readPrompts(shippedPromptsFile);
  assert.ok(prompts.length >= 320, String(prompts.length));
  assert.equal(new Set(prompts.map((prompt) => prompt.toLowerCase())).size, prompts.length);
  for (const prompt of prompts) assert.match(prompt, /^[\x20-\x7e]+$/u);
});

const vocabulary = path.join(packageRoot, "../shared/spec/tokenizers/clip");
const fits = async (): Promise<void> => {
  const tokenizer = await ClipTokenizer.load(vocabulary, { variant: "hf", maxLength: 1000 });
  for (const prompt of await readPrompts(shippedPromptsFile))
    assert.ok(tokenizer.encode(prompt).length <= 77, prompt);
};
if (existsSync(vocabulary)) test("the shipped prompts fit CLIP's 77", fits);
else test.skip("the shipped prompts fit CLIP's 77", fits);

test.run();
