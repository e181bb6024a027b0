import { backward } from "../../ts/autograd/backward.js";
import { noGrad } from "../../ts/autograd/tape.js";
import { fluxDev, type FluxConfig } from "../../ts/models/flux/config.js";
import { Flux } from "../../ts/models/flux/model.js";
import { fluxIds, fluxRope } from "../../ts/models/flux/positions.js";
import { initializeParameters } from "../../ts/nn/init.js";
import { fluxParameters } from "../../ts/models/flux/parameters.js";
import { elementsOf } from "../../ts/plan/memory.js";
import { backwardOf, fluxForward } from "../../ts/plan/work.js";
import { synchronize } from "../../ts/tensor/device.js";
import { tensorScope } from "../../ts/tensor/scope.js";
import type { BenchCase } from "../support/case.js";
import { benchDevice, directions, fillRandomly, input, way } from "../support/inputs.js";
import {
  fullOf,
  hiddenOf,
  imageLength,
  jointLength,
  type PictureSize,
  type Sizes,
} from "../support/sizes.js";

// A FLUX that two cores can run: everything of the real one but its size.
const small: FluxConfig = {
  ...fluxDev,
  heads: 12,
  headSize: 64,
  axes: [8, 28, 28],
  depth: 2,
  depthSingleBlocks: 4,
};
const [height, width, textLength] = [32, 32, 128];

function fluxCase(dtype: "float32" | "bfloat16", withBackward: boolean): BenchCase {
  return {
    name: `flux 768x(2+4)  ${dtype}  1024+128 tokens  ${withBackward ? "forward+backward" : "forward"}`,
    why: "the transformer as a whole, at a size that two cores run",
    ...(withBackward ? {} : { full: true }),
    torch: {
      op: "flux",
      hidden: 768,
      heads: 12,
      double: 2,
      single: 4,
      context: 4096,
      vector: 768,
      img: height * width,
      txt: textLength,
      dtype,
      backward: withBackward,
    },
    setUp: () => {
      const model = new Flux(small, { dtype, trainable: withBackward });
      initializeParameters(model.parameters, 1n);
      const pe = fluxRope(small, fluxIds({ textLength, height, width }));
      const inputs = {
        img: input([1, height * width, 64], dtype),
        txt: input([1, textLength, small.contextSize], dtype),
        pooled: input([1, small.vectorSize], dtype),
        sigma: [0.8],
        guidance: [3.5],
        pe,
      };
      const cotangent = input([1, height * width, 64], dtype);
      return async () => {
        {
          using scope = tensorScope();
          void scope;
          if (withBackward) {
            model.parameters.zeroGradients();
            backward(model.forward(inputs), cotangent);
          } else {
            noGrad(() => model.forward(inputs));
          }
        }
        await synchronize("cpu");
      };
    },
  };
}

export const cases: readonly BenchCase[] = (["float32", "bfloat16"] as const).flatMap((dtype) =>
  [false, true].map((withBackward) => fluxCase(dtype, withBackward)),
);

/** Bytes of bfloat16 weights, and with gradients what a backward needs beside them. */
function weightBytes(config: FluxConfig, gradients: boolean): number {
  const elements = elementsOf(fluxParameters(config), 2);
  return elements * (gradients ? 2 + 4 : 2);
}

/** Forward of a transformer of random weights, or forward and backward, each block run again in backward. */
function transformerCase(
  name: string,
  config: FluxConfig,
  sizes: Sizes,
  picture: PictureSize,
  { backward: withBackward, why, opponent }: { backward: boolean; why: string; opponent: boolean },
): BenchCase {
  const dtype = "bfloat16";
  const { latentHeight, latentWidth } = picture;
  const forward = fluxForward(config, {
    samples: 1,
    latentHeight,
    latentWidth,
    textLength: sizes.textLength,
    bytes: 2,
  });
  const total = ({ gemm, attention, attentionBackward, convolution }: typeof forward) =>
    gemm + attention + attentionBackward + convolution;
  const whole = config.depth + config.depthSingleBlocks > 1;
  // A whole model does not keep its blocks' activations here: forward runs once more.
  const recompute = whole && withBackward;
  const back = total(backwardOf(forward, true)) + (recompute ? total(forward) : 0);
  const [img, txt] = [imageLength(picture), sizes.textLength];
  const activations = 40 * jointLength(sizes, picture) * hiddenOf(sizes) * 2;
  return {
    name: `${name}  ${dtype}  ${img}+${txt} tokens  ${way(withBackward)}`,
    why,
    flops: total(forward) + (withBackward ? back : 0),
    memory: weightBytes(config, withBackward) + activations * (recompute ? 3 : 1),
    stretch: whole,
    ...fullOf(picture),
    ...(opponent
      ? {
          torch: {
            op: "flux",
            hidden: hiddenOf(sizes),
            heads: config.heads,
            double: config.depth,
            single: config.depthSingleBlocks,
            context: config.contextSize,
            vector: config.vectorSize,
            channels: config.inChannels,
            img,
            txt,
            dtype,
            backward: withBackward,
          },
        }
      : {}),
    setUp: () => {
      const device = benchDevice();
      const model = new Flux(config, { dtype, device, trainable: withBackward });
      fillRandomly(model.parameters.weights, 0.02);
      const ids = fluxIds({ textLength: txt, height: latentHeight / 2, width: latentWidth / 2 });
      const inputs = {
        img: input([1, img, config.inChannels], dtype),
        txt: input([1, txt, config.contextSize], dtype),
        pooled: input([1, config.vectorSize], dtype),
        sigma: [0.8],
        guidance: [3.5],
        pe: fluxRope(config, ids, { device }),
      };
      const cotangent = input([1, img, config.outChannels], dtype);
      const call = () => {
        using scope = tensorScope();
        void scope;
        if (!withBackward) noGrad(() => model.forward(inputs));
        else backward(model.forward(inputs, { recompute }), cotangent);
      };
      return Object.assign(call, { dispose: () => model.dispose() });
    },
  };
}

/** One block of each kind between the model's ends, then all of it. */
export const fluxCases = (sizes: Sizes): readonly BenchCase[] =>
  sizes.pictures.flatMap((picture) =>
    directions.flatMap((backward) => {
      const { transformer } = sizes;
      const one = (name: string, depth: number, depthSingleBlocks: number) =>
        transformerCase(name, { ...transformer, depth, depthSingleBlocks }, sizes, picture, {
          backward,
          why: `a block and the model's ends, ${picture.name}`,
          opponent: true,
        });
      const { depth, depthSingleBlocks } = transformer;
      return [
        one("flux double block", 1, 0),
        one("flux single block", 0, 1),
        transformerCase(`flux ${depth}+${depthSingleBlocks} blocks`, transformer, sizes, picture, {
          backward,
          why: `the whole transformer, random weights, ${picture.name}`,
          // Beside ours there is no room for another's gradients.
          opponent: !backward,
        }),
      ];
    }),
  );
