// Three models, their averages and one norm: stopped and resumed, the policy's training ends with the same bits.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import path from "node:path";
import { test } from "uvu";
import { saveFolder } from "../../../ts/checkpoint/folder.js";
import { captionTokens } from "../../../ts/micro/captions.js";
import { vaeConfig } from "../../../ts/micro/configs.js";
import { Judge } from "../../../ts/micro/judges/judge.js";
import { LatentPool } from "../../../ts/micro/pretrain/latents.js";
import { Loop, modelOf } from "../../../ts/micro/pretrain/loop.js";
import { PolicyStage } from "../../../ts/micro/pretrain/policy.js";
import { pretrainSettings } from "../../../ts/micro/pretrain/settings.js";
import { learnVocabularies, writeVocabularies } from "../../../ts/micro/pretrain/vocabulary.js";
import { autoencoderConfig } from "../../../ts/models/autoencoder/config.js";
import { Autoencoder } from "../../../ts/models/autoencoder/model.js";
import { native } from "../../../ts/native/binding.js";
import { initializeParameters } from "../../../ts/nn/init.js";
import { ClipTokenizer, T5Tokenizer } from "../../../ts/text/index.js";
import { silent, small, temporaryFolder } from "./support.js";

/** Trains in a folder, until the signal's step, from an autoencoder of drawn weights. */
async function train(
  place: string,
  { stopAt, threads = 0 }: { stopAt?: number; threads?: number },
) {
  native.cpuSetThreads(threads);
  const words = path.join(place, "vocabulary");
  await saveFolder(words, (folder) => writeVocabularies(folder, learnVocabularies()), {
    replace: true,
  });
  const autoencoder = new Autoencoder(autoencoderConfig(vaeConfig));
  initializeParameters(autoencoder.parameters, 1n);
  const maxLength = captionTokens;
  const settings = small(pretrainSettings({ seed: 4n, effort: 1 }), { batch: 4, ema: 0.9 });
  const stage = new PolicyStage(settings, {
    training: await LatentPool.encode(autoencoder, "training", 6),
    autoencoder,
    judges: { style: Judge.create("style"), attributes: Judge.create("attributes") },
    clipTokenizer: await ClipTokenizer.load(path.join(words, "tokenizer"), {
      variant: "hf",
      maxLength,
    }),
    t5Tokenizer: await T5Tokenizer.load(path.join(words, "tokenizer_2"), { maxLength }),
  });
  stage.look = () => Promise.resolve({ figures: {}, pictures: {} });
  const controller = new AbortController();
  const loss = stage.loss.bind(stage);
  stage.loss = (step) => {
    if (step === stopAt) controller.abort();
    return loss(step);
  };
  const folder = path.join(place, "policy");
  const loop = await Loop.create(stage, { folder, signal: controller.signal, out: silent });
  try {
    return (await loop.run()).interrupted;
  } finally {
    loop.dispose();
    stage.dispose();
    native.cpuSetThreads(0);
  }
}

test("stopped and resumed, on one thread or two, it ends with the same bits", async () => {
  using whole = temporaryFolder();
  using parted = temporaryFolder();
  assert.ok(!(await train(whole.path, {})));
  assert.ok(await train(parted.path, { stopAt: 3, threads: 1 }));
  assert.ok(!(await train(parted.path, {})));
  for (const file of [
    "transformer/diffusion_pytorch_model.safetensors",
    "text_encoder/model.safetensors",
    "text_encoder_2/model.safetensors",
  ]) {
    const of = (place: string) =>
      readFileSync(path.join(modelOf(path.join(place, "policy")), file));
    assert.ok(of(whole.path).equals(of(parted.path)), file);
  }
});

test.run();
