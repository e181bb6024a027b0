import { noGrad } from "../autograd/tape.js";
import type { LatentDecoder } from "../methods/method.js";
import { plainReward } from "../methods/picture.js";
import { folderPlace } from "../models/pipeline/places.js";
import type { ParameterSetOptions } from "../nn/parameter_set.js";
import { purposes, randn } from "../ops/index.js";
import { openReward, type AnyReward } from "../rewards/open_reward.js";
import { shiftedSigmas } from "../sampler/schedule.js";
import { tensorScope } from "../tensor/scope.js";
import type { TrainConfig } from "./config.js";
import type { Evaluator, Subject } from "./evaluator.js";
import type { PromptData } from "./prompt_data.js";
import { sampleImages } from "./samples.js";

/** What a second reward tells. */
export const rewardFigures = { score: "higher" } as const;

// Step 0 of the samples' noise is that of the grids.
const noiseStep = 1;

/** What it draws with, and the prompts that it draws. */
interface Parts {
  data: PromptData;
  decoder: LatentDecoder;
  /** Of a picture's packed latents. */
  tokens: number;
  channels: number;
}

/** A second reward's mean score of pictures of held-out prompts, from noise that is always the same. */
export class RewardEvaluator implements Evaluator {
  readonly figures = rewardFigures;
  readonly headline = ["score"];

  private constructor(
    readonly config: TrainConfig,
    readonly reward: AnyReward,
    readonly parts: Parts,
  ) {}

  /** The reward `evalReward` of a run. @throws SrpoError ERR_CONFIG, ERR_CHECKPOINT */
  static async open(
    config: TrainConfig,
    parts: Parts,
    options: ParameterSetOptions,
  ): Promise<RewardEvaluator> {
    const vocabulary = folderPlace({ model: config.model!, base: config.base }, "tokenizer");
    const reward = await openReward(config.evalReward!, { ...options, vocabulary });
    return new RewardEvaluator(config, reward, parts);
  }

  async evaluate({ model, policy, signal }: Subject): Promise<Record<string, number>> {
    const { seed, microBatch, sampleSteps, sampleGuidance, shift } = this.config;
    const { data, decoder, tokens, channels } = this.parts;
    let sum = 0;
    for (let first = 0; first < data.size; first += microBatch) {
      signal.throwIfAborted();
      using scope = tensorScope();
      void scope;
      const count = Math.min(microBatch, data.size - first);
      const places = Array.from({ length: count }, (_, i) => first + i);
      const features = await data.features(places);
      const noise = randn([count, tokens, channels], {
        seed: BigInt(seed),
        purpose: purposes.sampleNoise,
        step: noiseStep,
        sample: places,
        device: model.parameters.device,
      });
      const images = await sampleImages(policy, decoder, features, noise, {
        sigmas: shiftedSigmas(sampleSteps, shift),
        guidance: sampleGuidance,
        onStep: () => signal.throwIfAborted(),
      });
      const captions = places.map((place) => data.captions[place]!);
      const scores = noGrad(() => plainReward(this.reward, images, captions));
      for (const score of await scores.read()) sum += score;
    }
    return { score: sum / data.size };
  }

  dispose(): void {
    this.reward.dispose();
  }
}
