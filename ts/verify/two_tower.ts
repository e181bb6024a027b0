import { gradients } from "../autograd/backward.js";
import { noGrad } from "../autograd/tape.js";
import { hfClipConfig, openClipConfig, type TwoTowerConfig } from "../models/clip/config.js";
import type { TokenIds } from "../models/token_ids.js";
import { hfClipNames, openClipNames } from "../models/clip/names.js";
import { TwoTower } from "../models/clip/two_tower.js";
import { ConfigReader } from "../nn/config_reader.js";
import type { NamesMap } from "../nn/names_map.js";
import {
  combine,
  l2Normalize,
  linear,
  mul,
  relativeReward,
  reshape,
  scale,
  sum,
} from "../ops/index.js";
import { tensor, type Tensor } from "../tensor/tensor.js";
import type { ReplayRun } from "./replay.js";

const picture = { picture: true };

/** OpenCLIP's network: HPSv2, HPSv2.1, LAION. */
export function replayOpenClip(run: ReplayRun): Promise<void> {
  const config = openClipConfig(run.fixture.config);
  return replayTwoTower(run, config, openClipNames(config), () => Promise.resolve(1));
}

/** transformers' CLIPModel: PickScore. */
export function replayHfClip(run: ReplayRun): Promise<void> {
  const config = hfClipConfig(run.fixture.config);
  const read = new ConfigReader(run.fixture.config, "fixture config");
  const divisor = read.number("reward_divisor", 1);
  read.check();
  return replayTwoTower(
    run,
    config,
    hfClipNames(config),
    async (clip) => (await clip.logitScale()) / divisor,
  );
}

interface Text {
  readonly ids: TokenIds;
  readonly mask?: TokenIds;
}

async function text(run: ReplayRun, name: "pos" | "neg"): Promise<Text> {
  const ids = await run.rows(`${name}_tokens`);
  return run.has(`in.${name}_mask`) ? { ids, mask: await run.rows(`${name}_mask`) } : { ids };
}

async function replayTwoTower(
  run: ReplayRun,
  config: TwoTowerConfig,
  map: NamesMap,
  rewardScale: (clip: TwoTower) => Promise<number>,
): Promise<void> {
  const read = new ConfigReader(run.fixture.config, "fixture config");
  const k = read.number("k");
  read.check();
  const clip = new TwoTower(config, run.parameterOptions);
  try {
    await run.load(clip.parameters, map);
    const factor = await rewardScale(clip);
    const image = await run.input("image", picture);
    const texts = { pos: await text(run, "pos"), neg: await text(run, "neg") };

    const pixels = clip.preprocess(image);
    await run.compareIfThere("mid.pixels", pixels, picture);
    if (run.has("out.pixels_no_antialias"))
      await run.compare(
        "out.pixels_no_antialias",
        noGrad(() => clip.preprocess(image, { antialias: false })),
        picture,
      );
    const pooled = clip.encodeImage(pixels);
    const raw = clip.projectImage(pooled);
    const rawPositive = clip.encodeTextRaw(texts.pos.ids, texts.pos);
    await run.compareIfThere("mid.image_features_raw", raw);
    await run.compareIfThere("mid.pos_features_raw", rawPositive);
    const features = l2Normalize(raw);
    const positive = l2Normalize(rawPositive);
    const negative = clip.encodeText(texts.neg.ids, texts.neg);

    await run.compare("out.image_features", features);
    await run.compare("out.pos_features", positive);
    await run.compare("out.neg_features", negative);
    const fused = relativeReward(pooled, clip.imageProjection, {
      positive: positive.detach(),
      negative: negative.detach(),
      k: Array.from({ length: image.dim(0) }, () => k),
      scale: factor,
    });
    await run.compare("out.reward", fused.reward);

    // The fused op takes the texts as given; here they are differentiated too, op by op.
    const wanted = combine(positive, negative, { x: 1 + k, y: -1 });
    const ones = tensor(new Float32Array(config.embedding).fill(1), [1, config.embedding], {
      dtype: run.settings.dtype,
      device: run.settings.device,
    });
    const dots = scale(linear(mul(features, wanted), ones), factor);
    const outputs = {
      image_features: features,
      pos_features: positive,
      neg_features: negative,
      reward: reshape(dots, [image.dim(0)]),
    };
    await run.differentiate(outputs, { set: clip.parameters, map: withoutScale(map) });
    await compareLogitScale(run, outputs.reward);
    if (run.has("grad_reward.in.image")) {
      clip.parameters.zeroGradients();
      gradients([sum(fused.reward)], [tensor([1], [1], { device: run.settings.device }).handle]);
      await run.compareInputGradients("grad_reward.");
    }
  } finally {
    clip.dispose();
  }
}

function withoutScale(map: NamesMap): NamesMap {
  return { ...map, tensors: map.tensors.filter(({ name }) => name !== "logit_scale") };
}

/** exp(s) multiplies the reward, so that d reward / d s is the reward; OpenCLIP's has no such factor. */
async function compareLogitScale(run: ReplayRun, reward: Tensor): Promise<void> {
  const key = "grad.w.logit_scale";
  if (!run.has(key)) return;
  const scaled = /CLIPModel/.test(run.fixture.module);
  const g = await run.fixture.values("g.reward");
  const rewards = await reward.read();
  const total = rewards.reduce((total, r, i) => total + r * g[i]!, 0);
  await run.comparison.add(key, [scaled ? total : 0]);
}
