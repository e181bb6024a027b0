import { TwoTower } from "../../ts/models/clip/two_tower.js";
import { initializeParameters } from "../../ts/nn/init.js";
import { relativeReward } from "../../ts/ops/index.js";
import { backwardOf, imageTower } from "../../ts/plan/work.js";
import type { BenchCase } from "../support/case.js";
import { benchDevice, callOf, directions, input, way } from "../support/inputs.js";
import { fullOf, type Sizes } from "../support/sizes.js";

/** A picture's reward, from its pixels on, with frozen random weights of HPSv2.1's sizes. */
export const fluxCases = (sizes: Sizes): readonly BenchCase[] =>
  sizes.pictures.flatMap((picture) =>
    directions.map((backward): BenchCase => {
      const { reward, vae } = sizes;
      const { imageSize, width, layers, heads, mlp, patchSize } = reward.vision;
      const factor = 2 ** (vae.channels.length - 1);
      const x = [1, picture.latentHeight * factor, picture.latentWidth * factor, 3];
      const forward = imageTower(reward);
      const back = backwardOf(forward, false);
      return {
        name: `reward  bfloat16  [${x.join(",")}] to ${imageSize}, ${layers} blocks of ${width}  ${way(backward)}`,
        why: `HPSv2.1's image tower and the semantic-relative reward, ${picture.name}`,
        flops:
          forward.gemm + forward.attention + (backward ? back.gemm + back.attentionBackward : 0),
        stretch: true,
        torch: {
          op: "tower",
          x,
          size: imageSize,
          width,
          layers,
          heads,
          mlp,
          patch: patchSize,
          embedding: reward.embedding,
          dtype: "bfloat16",
          backward,
        },
        ...fullOf(picture),
        setUp: () => {
          const dtype = "bfloat16";
          const tower = new TwoTower(reward, { dtype, device: benchDevice() });
          initializeParameters(tower.parameters, 1n);
          const [positive, negative] = [0, 1].map(() => input([1, reward.embedding], dtype));
          const call = callOf(
            (image) =>
              relativeReward(tower.encodeImage(tower.preprocess(image)), tower.imageProjection, {
                positive: positive!,
                negative: negative!,
                k: [0.1],
              }).reward,
            [input(x, dtype)],
            { backward },
          );
          return Object.assign(call, { dispose: () => tower.dispose() });
        },
      };
    }),
  );
