import { aestheticConfig } from "../models/siglip/config.js";
import { aestheticNamesIn } from "../models/siglip/names.js";
import { AestheticPredictor } from "../models/siglip/model.js";
import { imageRewardConfig } from "../models/image_reward/config.js";
import { ImageReward } from "../models/image_reward/model.js";
import { imageRewardNames } from "../models/image_reward/names.js";
import { under } from "../nn/load.js";
import type { ReplayRun } from "./replay.js";

const picture = { picture: true };

/** SigLIP's image tower with the aesthetic head. */
export async function replayAesthetic(run: ReplayRun): Promise<void> {
  const config = aestheticConfig(run.fixture.config);
  const model = new AestheticPredictor(config, run.parameterOptions);
  try {
    const map = aestheticNamesIn(config, under("w.", run.fixture.source).names());
    await run.load(model.parameters, map);
    const seen = run.intermediates();
    const pooled = model.encodeImage(await run.input("pixels", picture), { trace: seen.trace });
    const score = model.score(pooled);
    await seen.compare();
    await run.compare("out.pooled", pooled);
    await run.compare("out.score", score);
    await run.differentiate({ pooled, score }, { set: model.parameters, map });
  } finally {
    model.dispose();
  }
}

/** ImageReward: BLIP's encoders and the head on the text's first token. */
export async function replayImageReward(run: ReplayRun): Promise<void> {
  const config = imageRewardConfig(run.fixture.config);
  const model = new ImageReward(config, run.parameterOptions);
  try {
    const map = imageRewardNames(config);
    await run.load(model.parameters, map);
    const pixels = await run.input("pixels", picture);
    const ids = await run.rows("input_ids");
    const mask = await run.rows("attention_mask");
    const seen = run.intermediates();
    const cls = model.encode(pixels, ids, { mask, trace: seen.trace });
    const reward = model.score(cls);
    await seen.compare();
    await run.compare("out.cls", cls);
    await run.compare("out.reward", reward);
    await run.differentiate({ cls, reward }, { set: model.parameters, map });
  } finally {
    model.dispose();
  }
}
