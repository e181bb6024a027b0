// Ctrl-C: the first is answered at once and saves after the running step, the second leaves at once.
import assert from "node:assert/strict";
import { existsSync, readdirSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { suite } from "uvu";
import { verifyManifest } from "../../ts/checkpoint/folder.js";
import { at, metricsOf, microFolder, start, training, type Running } from "../support/cli.js";

const test = suite("interrupts");
test.before(async () => void (await microFolder()));

/** A run whose updates take some seconds: the device has much to do, and no term ends soon. */
function slowly(out: string, batch = "48"): string[] {
  const size = ["--height", "64", "--width", "64", "--batch", batch, "--micro-batch", batch];
  const rest = ["--model", at("micro"), "--out", at(out), "--steps", "3", "--sample-every", "0"];
  return ["train", "--preset", "micro", ...size, ...rest];
}

async function until(what: () => boolean, limitMs = 60_000): Promise<number> {
  const started = performance.now();
  while (!what()) {
    assert.ok(performance.now() - started < limitMs, "nothing came");
    await sleep(5);
  }
  return performance.now() - started;
}

const says = (running: Running, words: string) => () => running.soFar.stderr.includes(words);

for (const [name, code] of [
  ["SIGINT", 130],
  ["SIGTERM", 143],
] as const)
  test(`${name} during a long step: an answer within a second, then a checkpoint`, async () => {
    const out = `once-${name}`;
    const running = start(slowly(out));
    await until(says(running, "0/3 updates"));
    await sleep(700); // well inside the first step
    running.process.kill(name);
    const answeredMs = await until(says(running, "once more leaves at once"));
    const { code: ended, stderr } = await running.ended;
    assert.ok(answeredMs < 1000, `answered after ${answeredMs} ms`);
    assert.equal(ended, code, stderr);
    const steps = metricsOf(out).length;
    assert.ok(steps >= 1 && steps < 3, `${steps} steps`);
    assert.match(stderr, new RegExp(`stopped after ${steps} updates`));
    assert.match(stderr, /go on by: srpo-native train --resume /);
    await verifyManifest(at(out, `checkpoints/step-00000${steps}`));
  });

test("a second one leaves at once, and what was saved before is intact", async () => {
  const running = start([...slowly("twice"), "--save-every", "1"]);
  await until(() => existsSync(at("twice/checkpoints/step-000001")));
  await sleep(300); // inside the second step
  running.process.kill("SIGINT");
  await until(says(running, "once more leaves at once"));
  const started = performance.now();
  running.process.kill("SIGINT");
  const { signal, code } = await running.ended;
  const leftMs = performance.now() - started;
  assert.ok(leftMs < 1000, `left after ${leftMs} ms`);
  assert.ok(signal === "SIGINT" || code === 130, `${signal} ${code}`);
  await verifyManifest(at("twice/checkpoints/step-000001"));
});

test("before the first step nothing is saved, and the run can be resumed", async () => {
  const out = "early";
  const running = start(training(out, "--steps", "1", "--sample-steps", "9999"));
  await until(says(running, "run folder: "));
  await sleep(200); // while the first grid is drawn
  running.process.kill("SIGINT");
  const { code, stderr } = await running.ended;
  assert.equal(code, 130, stderr);
  assert.deepEqual(readdirSync(at(out, "checkpoints")), []);
  assert.match(stderr, /stopped after 0 updates: no checkpoint yet/);
  const while_loading = start(training("loading", "--steps", "1"));
  await sleep(60);
  while_loading.process.kill("SIGINT");
  await while_loading.ended;
  assert.ok(!existsSync(at("loading/metrics.jsonl")));
});

test("sample ends after the running batch, preprocess leaves no folder", async () => {
  const sampling = start([
    "sample",
    "a",
    "b",
    "c",
    "d",
    "--model",
    at("micro"),
    "--out",
    at("pictures"),
    "--height",
    "32",
    "--width",
    "32",
    "--steps",
    "300",
    "--count",
    "50",
  ]);
  await until(() => sampling.soFar.stdout.includes(".png"));
  sampling.process.kill("SIGINT");
  assert.equal((await sampling.ended).code, 130);
  assert.ok(readdirSync(at("pictures")).every((name) => /^\d{5}\.png$/.test(name)));
  const preprocessing = start([
    "preprocess",
    "--model",
    at("micro"),
    "--out",
    at("embeddings"),
    "--per-file",
    "4",
  ]);
  await until(says(preprocessing, "prompts"));
  preprocessing.process.kill("SIGINT");
  const { code } = await preprocessing.ended;
  assert.ok(code === 130 || (code === 0 && existsSync(at("embeddings"))), String(code));
  if (code === 130) assert.ok(!existsSync(at("embeddings")));
});

test.run();
