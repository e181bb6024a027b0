import { Autoencoder } from "../../ts/models/autoencoder/model.js";
import { initializeParameters } from "../../ts/nn/init.js";
import { decoderHeld } from "../../ts/plan/activations.js";
import { backwardOf, decoderForward } from "../../ts/plan/work.js";
import type { BenchCase } from "../support/case.js";
import { benchDevice, callOf, directions, input } from "../support/inputs.js";
import { fullOf, type Sizes } from "../support/sizes.js";

/** The VAE's decoder with frozen random weights: forward, and backward to the latents. */
export const fluxCases = (sizes: Sizes): readonly BenchCase[] =>
  sizes.pictures.flatMap((picture) =>
    directions.map((backward): BenchCase => {
      const { vae } = sizes;
      const { latentHeight, latentWidth } = picture;
      const held = { samples: 1, latentHeight, latentWidth, textLength: 0, bytes: 2 };
      const forward = decoderForward(vae, held);
      const back = backwardOf(forward, false);
      const { kept, passing } = decoderHeld(vae, held, { recompute: !backward });
      const sum = ({ gemm, attention, attentionBackward, convolution }: typeof forward) =>
        gemm + attention + attentionBackward + convolution;
      const z = [1, latentHeight, latentWidth, vae.latentChannels];
      return {
        name: `vae decode  bfloat16  [${z.join(",")}]  ${backward ? "forward+backward" : "forward"}`,
        why: `a picture of the rollout and of a branch, ${picture.name}`,
        flops: sum(forward) + (backward ? sum(back) : 0),
        memory: kept + passing + 2e8,
        stretch: true,
        torch: {
          op: "vae",
          z,
          channels: vae.channels,
          resnets: vae.resnets,
          groups: vae.groups,
          dtype: "bfloat16",
          backward,
        },
        ...fullOf(picture),
        setUp: () => {
          const options = { dtype: "bfloat16", device: benchDevice(), parts: ["decoder"] } as const;
          const model = new Autoencoder(vae, options);
          initializeParameters(model.parameters, 1n);
          const call = callOf((t) => model.decode(t), [input(z, "bfloat16")], { backward });
          return Object.assign(call, { dispose: () => model.dispose() });
        },
      };
    }),
  );
