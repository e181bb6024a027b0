// `preprocess` killed between files goes on where it was, to the same bytes.
import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { suite } from "uvu";
import { at, fails, microFolder, start, succeed } from "../support/cli.js";

const test = suite("preprocess");
test.before(async () => {
  await microFolder();
  const lines = Array.from({ length: 60 }, (_, i) => `a red fox and ${i} boats`);
  writeFileSync(at("prompts.txt"), lines.join("\n"));
});

const line = (out: string, ...more: string[]) => [
  "preprocess",
  "--model",
  at("micro"),
  "--prompts",
  at("prompts.txt"),
  "--per-file",
  "2",
  "--out",
  at(out),
  ...more,
];
const files = (folder: string) =>
  existsSync(at(folder))
    ? readdirSync(at(folder)).filter((name) => name.endsWith(".safetensors"))
    : [];

test("killed, the same command goes on after the last whole file", async () => {
  await succeed(...line("calm"));
  const running = start(line("shaken"));
  while (files("shaken.part").length < 2 && running.process.exitCode === null) await sleep(2);
  running.process.kill("SIGKILL");
  await running.ended;
  if (!existsSync(at("shaken"))) {
    assert.ok(files("shaken.part").length >= 2);
    await fails(2, /out: expected .*shaken\.part to be of the same job, got another dtype/, [
      ...line("shaken", "--precision", "f32"),
    ]);
    await succeed(...line("shaken"));
  }
  assert.ok(!existsSync(at("shaken.part")));
  for (const name of readdirSync(at("calm")))
    assert.ok(readFileSync(at("shaken", name)).equals(readFileSync(at("calm", name))), name);
});

test.run();
