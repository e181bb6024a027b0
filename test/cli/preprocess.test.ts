// `preprocess` killed between files goes on where it was, to the same bytes.
import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { suite } from "uvu";
import { writeSafetensors } from "../../ts/checkpoint/write.js";
import { t5Config } from "../../ts/models/t5/config.js";
import { T5Encoder } from "../../ts/models/t5/model.js";
import { t5Names } from "../../ts/models/t5/names.js";
import { initializeParameters } from "../../ts/nn/init.js";
import { tensorsToWrite } from "../../ts/nn/save.js";
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

/** Gives the micro folder a T5 of FLUX.1-dev's width and length, one thin layer deep. */
async function widen(folder: string): Promise<void> {
  const place = (...names: string[]) => path.join(folder, ...names);
  const read = (file: string) => JSON.parse(readFileSync(file, "utf8")) as Record<string, unknown>;
  const configFile = place("text_encoder_2", "config.json");
  const json = {
    ...read(configFile),
    d_model: 4096,
    d_kv: 64,
    num_heads: 4,
    d_ff: 256,
    num_layers: 1,
  };
  writeFileSync(configFile, JSON.stringify(json));
  const tokenizerFile = place("tokenizer_2", "tokenizer_config.json");
  writeFileSync(tokenizerFile, JSON.stringify({ ...read(tokenizerFile), model_max_length: 512 }));
  const config = t5Config(json);
  const t5 = new T5Encoder(config);
  initializeParameters(t5.parameters, 1n);
  await writeSafetensors(
    place("text_encoder_2", "model.safetensors"),
    tensorsToWrite(t5.parameters, t5Names(config), { dtype: "bfloat16" }),
  );
  t5.dispose();
}

/** Runs a command to its end; the most memory it was seen to hold, in bytes. */
async function peakOf(args: readonly string[]): Promise<number> {
  const running = start(args);
  const { pid } = running.process;
  let peak = 0;
  const timer = setInterval(() => {
    try {
      const status = readFileSync(`/proc/${pid}/status`, "utf8");
      peak = Math.max(peak, 1024 * Number(/VmHWM:\s+(\d+)/.exec(status)?.[1] ?? 0));
    } catch {
      // It has ended.
    }
  }, 5);
  const { code, stderr } = await running.ended;
  clearInterval(timer);
  assert.equal(code, 0, stderr);
  return peak;
}

test("512 x 4096 bf16 a prompt: forty in one file take no more memory than four", async () => {
  await succeed("init", "micro", at("wide"));
  await widen(at("wide"));
  const wide = (count: number) => {
    const lines = Array.from({ length: count }, (_, i) => `a red fox and ${i} boats`);
    writeFileSync(at("some.txt"), lines.join("\n"));
    const flags = [
      "--model",
      at("wide"),
      "--prompts",
      at("some.txt"),
      "--out",
      at(`wide-${count}`),
    ];
    return ["preprocess", ...flags];
  };
  const few = await peakOf(wide(4));
  const many = await peakOf(wide(40));
  const all = 36 * 2 * 512 * 4096;
  assert.ok(many - few < all / 2, `${many - few} bytes more; the prompts' own are ${all}`);
  const { textLength, textWidth, perFile } = JSON.parse(
    readFileSync(at("wide-40", "index.json"), "utf8"),
  ) as Record<string, number>;
  assert.deepEqual([textLength, textWidth, perFile], [512, 4096, 64]);
  assert.deepEqual(files("wide-40"), ["embeddings-00001.safetensors"]);
});

test.run();
