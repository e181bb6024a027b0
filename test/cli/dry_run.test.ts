// `train --dry-run` on a micro folder and on built-in sizes: nothing is written, problems are named.
import assert from "node:assert/strict";
import { existsSync, rmSync } from "node:fs";
import { suite } from "uvu";
import { parse } from "yaml";
import { writeRewards } from "../rewards/tiny_rewards.js";
import { at, fails, microFolder, run, succeed, training } from "../support/cli.js";

const test = suite("train --dry-run");
test.before(async () => void (await microFolder()));

test("prints the resolved options as YAML and what would happen, and writes nothing", async () => {
  const { stdout } = await succeed(...training("never", "--steps", "3", "--dry-run"));
  const options = parse(stdout) as Record<string, unknown>;
  assert.equal(options["steps"], 3);
  assert.equal(options["rolloutSteps"], 2);
  assert.match(stdout, /^# srpo: 3 updates of 2 prompts, 2 a forward, at 32 x 32/m);
  assert.match(stdout, /^# {3}together .* fits$/m);
  assert.match(stdout, /^# time of an update: .* by rates measured with this package$/m);
  assert.ok(!existsSync(at("never")));
});

test("--json has options, plan and what is not here", async () => {
  const { stdout } = await succeed(...training("never", "--dry-run", "--json"));
  const found = JSON.parse(stdout) as {
    config: { batch: number };
    plan: { fits: boolean };
    notHere: [];
  };
  assert.equal(found.config.batch, 2);
  assert.equal(found.plan.fits, true);
  assert.deepEqual(found.notHere, []);
});

test("weights that are not there are said, and refuse nothing", async () => {
  await succeed("init", "micro", at("bare"));
  rmSync(at("bare/vae/diffusion_pytorch_model.safetensors"));
  const { stdout } = await succeed(
    "train",
    "--preset",
    "micro",
    "--model",
    at("bare"),
    "--dry-run",
  );
  assert.match(stdout, /^# not on this machine: weights in .*bare\/vae$/m);
});

test("what does not fit fails, with the nearest setting that does", async () => {
  const kept = "--recompute false --memory 0.36 --dry-run".split(" ");
  const { code, stdout } = await run(
    ...training("never", "--height", "128", "--width", "128", ...kept),
  );
  assert.equal(code, 1, stdout);
  assert.match(stdout, /does not fit: .* too much/);
  assert.match(stdout, /^# nearest setting that fits: --/m);
});

test("options, files and sizes that are wrong are refused as train refuses them", async () => {
  const dry = (...more: string[]) => training("never", "--dry-run", ...more);
  await fails(2, /--lr: expected a number/, dry("--lr", "fast"));
  await fails(2, /prompts\.txt/, dry("--prompts", at("no-prompts.txt")));
  await fails(1, /index\.json: expected a folder that/, dry("--embeddings", at("none")));
  await fails(2, /reward: expected a folder, or one of hpsv2\.1/, dry("--reward", at("none")));
  await fails(2, /height: expected a multiple of 8, got 36/, dry("--height", "36"));
  await fails(2, /refl: stopSteps/, dry("--method", "refl"));
  await fails(2, /card: expected the kind of GPU that cuda:0 will be/, dry("--device", "cuda:0"));
  await fails(2, /gpus: expected only with --dry-run/, training("never", "--gpus", "2"));
  assert.ok(!existsSync(at("never")));
});

test("built-in sizes stand for a machine that is elsewhere, and what this version lacks is said", async () => {
  const line =
    "train --dry-run --model flux.1-dev --device cuda:0 --card h20 --gpus 8 --embeddings there --grad-dtype bfloat16";
  const { stdout } = await succeed(...line.split(" "), "--out", at("never"));
  assert.match(stdout, /^# files: none looked for/m);
  assert.match(stdout, /^# has never run on hardware: several ranks on GPUs \(8\)/m);
  assert.match(stdout, /^# has never run on hardware: the cuda device/m);
  assert.match(stdout, /^# not on this machine: the device cuda:0$/m);
});

test("a reward that the method cannot use is refused, and one that is a file is looked at", async () => {
  await writeRewards(at("rewards"));
  const reward = at("rewards", "imagereward");
  const words = /expected one that compares texts with method srpo .* got ImageReward, which reads/;
  await fails(2, words, training("never", "--dry-run", "--reward", reward));
  const file = at("rewards", "imagereward", "ImageReward.safetensors");
  await succeed(...training("never", "--dry-run", "--reward", file, "--method", "draft"));
});
test.run();
