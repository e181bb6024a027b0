// What is written opens in the libraries it is written for, and means the same there. With SRPO_PEERS_PYTHON, a
// python that has torch, safetensors, transformers, peft and open_clip_torch; skipped without it.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import path from "node:path";
import { suite } from "uvu";
import { noGrad } from "../../ts/autograd/tape.js";
import { writeSafetensors } from "../../ts/checkpoint/write.js";
import type { Flux } from "../../ts/models/flux/model.js";
import { fluxIds, fluxRope } from "../../ts/models/flux/positions.js";
import { openLora } from "../../ts/models/lora/read.js";
import { loadTextEncoders, loadTransformer, loadTwoTower } from "../../ts/models/pipeline/load.js";
import { tokenRows } from "../../ts/models/token_ids.js";
import { packageRoot } from "../../ts/native/load.js";
import { relativeReward } from "../../ts/ops/index.js";
import { tensor, zeros, type Tensor } from "../../ts/tensor/tensor.js";
import { at, microFolder, succeed, training } from "../support/cli.js";
import { randn } from "../support/index.js";

const python = process.env["SRPO_PEERS_PYTHON"];
const test = suite("peers");
const check = (title: string, fn: () => Promise<void>): void =>
  python === undefined ? test.skip(title, fn) : test(title, fn);
const most = 2e-5;
const prompts = ["a red circle on grass", "photo of a blue cube", "two"];
const grid = { height: 4, width: 6 };

const place = (model: string) => ({ model, base: undefined });
const step = (run: string) => at(run, "checkpoints", "step-000002");

/** Everything that python needs for the same forward passes, and what came out here. */
async function numbers(): Promise<Record<string, Tensor>> {
  const found: Record<string, Tensor> = {};
  const base = await loadTransformer(place(at("micro")), {});
  const { config } = base;
  const encoders = await loadTextEncoders(place(step("full")), {});
  const features = encoders.encode(prompts);
  const B = prompts.length;
  const ids = fluxIds({ textLength: features.txt.dim(1), ...grid });
  const pe = fluxRope(config, ids);
  const img = randn([B, grid.height * grid.width, config.inChannels], { seed: 5 });
  const sigma = [0.9, 0.25, 0.5].map(Math.fround);
  const guidance = [3.5, 1, 2];
  const forward = (model: Flux) =>
    noGrad(() => model.forward({ img, ...features, sigma, guidance, pe }));

  const full = await loadTransformer(place(step("full")), {});
  found["velocity.full"] = forward(full);
  const { lora } = await openLora(
    path.join(step("lora"), "pytorch_lora_weights.safetensors"),
    config,
  );
  lora.mergeInto(base.parameters);
  found["velocity.lora"] = forward(base);
  const flat = ids.map((row) => [...row]).flat();
  Object.assign(found, {
    img,
    txt: features.txt,
    pooled: features.pooled,
    timestep: tensor(sigma, [B]),
    guidance: tensor(guidance, [B]),
    ids: tensor(flat, [flat.length / 3, 3]),
    "encoded.txt": features.txt,
    "encoded.pooled": features.pooled,
    clip_length: tensor([encoders.clipTokenizer.maxLength], [1]),
    prompts: tensor([...Buffer.from(prompts.join("\n"))], undefined, { dtype: "uint8" }),
  });

  const { tower, tokenizer } = await loadTwoTower(at("micro/reward"), {
    vocabulary: at("micro/tokenizer"),
  });
  const { ids: rows, shape } = tokenizer.encodeBatch(prompts);
  const size = tower.config.vision.imageSize;
  const pixels = randn([B, size, size, 3], { seed: 6 });
  const text = noGrad(() => tower.encodeText(tokenRows(rows, shape[1])));
  const negative = zeros(text.shape);
  const pooled = noGrad(() => tower.encodeImage(pixels));
  const k = prompts.map(() => 0);
  const { reward } = relativeReward(pooled, tower.imageProjection, { positive: text, negative, k });
  Object.assign(found, {
    "reward.ids": tensor([...rows], [B, shape[1]], { dtype: "int32" }),
    "reward.pixels": pixels,
    "reward.text": text,
    "reward.score": reward,
  });
  return found;
}

check("safetensors, transformers, peft, open_clip and diffusers' names", async () => {
  await microFolder();
  const options = [
    "--steps",
    "2",
    "--sample-every",
    "0",
    "--save-dtype",
    "float32",
    "--lr",
    "1e-2",
  ];
  await succeed(...training("full", ...options));
  await succeed(...training("lora", ...options, "--lora-rank", "4", "--lora-alpha", "6"));
  const file = at("numbers.safetensors");
  const all = Object.entries(await numbers()).map(([name, t]) => ({ name, tensor: t }));
  await writeSafetensors(file, all);
  const script = path.join(packageRoot, "test", "peers", "check.py");
  const done = spawnSync(
    python!,
    [script, file, step("full"), step("lora"), at("micro"), at("micro/reward")],
    { encoding: "utf8" },
  );
  assert.equal(done.status, 0, done.stderr);
  const { errors, failures } = JSON.parse(done.stdout.trim().split("\n").at(-1)!) as {
    errors: Record<string, number>;
    failures: Record<string, string>;
  };
  console.log(JSON.stringify({ errors, failures }, null, 1));
  assert.deepEqual(failures, {});
  for (const [name, error] of Object.entries(errors))
    if (name.startsWith("(")) assert.ok(error > 1e-3, `${name}: ${error}`);
    else assert.ok(error <= most, `${name}: ${error}`);
});
test.run();
