// `plan`: for people and as JSON, from flags, a recipe, a folder's config files; wrong calls are usage.
import assert from "node:assert/strict";
import { rmSync, writeFileSync } from "node:fs";
import { suite } from "uvu";
import type { Plan } from "../../ts/plan/plan.js";
import { at, fails, microFolder, succeed } from "../support/cli.js";

const test = suite("plan");
test.before(async () => void (await microFolder()));

test("FLUX.1-dev without any file: memory, what would fit, time with the kind of its rates", async () => {
  const { stdout } = await succeed("plan", "--card", "h200");
  assert.match(stdout, /^flux\.1-dev, built in on one H200 SXM; memory of each:$/m);
  assert.match(stdout, /^ {2}moments +95\.21 GB/m);
  assert.match(stdout, /together .* does not fit: [\d.]+ GB too much$/m);
  assert.match(stdout, /^nearest setting that fits: --/m);
  assert.match(stdout, /^time of an update: .*, an estimate, by others' published rates/m);
  assert.match(stdout, /^has never run on hardware: the cuda device/m);
});

test("a recipe on several nodes as JSON; a flag overrules it", async () => {
  writeFileSync(at("r.yaml"), "batch: 64\nembeddings: e\nprompts: elsewhere.txt\nmethod: draft\n");
  const args = [
    "plan",
    at("r.yaml"),
    "--batch",
    "32",
    "--card",
    "h20",
    "--gpus",
    "8",
    "--nodes",
    "4",
  ];
  const plan = JSON.parse((await succeed(...args, "--json")).stdout) as Plan;
  assert.equal(plan.ranks, 32);
  assert.equal(plan.fits, true);
  assert.ok(plan.parts.every(({ bytes }) => bytes > 0));
  assert.deepEqual(
    plan.times.map(({ kind }) => kind),
    ["estimate", "vendor"],
  );
  assert.ok(plan.untried.some((what) => what.startsWith("several ranks on GPUs (32)")));
});

test("--scale: the same run on 1 to 4096 devices, predicted and said to be", async () => {
  const { stdout } = await succeed("plan", "--card", "h20", "--gpus", "8", "--scale");
  assert.match(stdout, /^predicted, on H20s; nothing of it has been measured$/m);
  const rows = stdout.split("\n").filter((line) => /^ +\d+ +\d+ +\d+ /.test(line));
  const ranks = rows.map((line) => Number(line.trim().split(/ +/)[0]));
  assert.deepEqual(ranks, [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096]);
  const json = await succeed("plan", "--card", "h20", "--gpus", "8", "--scale", "--json");
  const last = (JSON.parse(json.stdout) as { ranks: number; efficiency: number }[]).at(-1)!;
  assert.ok(last.ranks === 4096 && last.efficiency > 0.9 && last.efficiency < 1);
});

test("a folder's config files are enough: no weights are looked at", async () => {
  rmSync(at("micro/transformer/diffusion_pytorch_model.safetensors"));
  const { stdout } = await succeed("plan", "--model", at("micro"), "--preset", "micro");
  assert.match(stdout, /together .* fits$/m);
  assert.match(stdout, /by rates measured with this package$/m);
  assert.ok(!/not in this version|never run/.test(stdout), stdout);
});

test("what is wrong is named", async () => {
  await fails(2, /--card: expected one of h20, h100, h200, cpu, got "h300"/, [
    "plan",
    "--card",
    "h300",
  ]);
  await fails(2, /--gpuss: no such option; did you mean --gpus\?/, ["plan", "--gpuss", "2"]);
  await fails(2, /model: expected a FLUX folder or flux\.1-dev/, ["plan", "--model", at("none")]);
});

test.run();
