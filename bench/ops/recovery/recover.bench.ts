import { recover } from "../../../ts/ops/index.js";
import type { BenchCase } from "../../support/case.js";
import { callOf, directions, input, way } from "../../support/inputs.js";
import { fullOf, imageLength, type Sizes } from "../../support/sizes.js";

/** The recovered latent from one model step of known noise: launch latency and little else. */
export const fluxCases = (sizes: Sizes): readonly BenchCase[] =>
  sizes.pictures.flatMap((picture) =>
    directions.map((backward): BenchCase => {
      const { scalingFactor, shiftFactor } = sizes.vae;
      const { latentHeight: height, latentWidth: width } = picture;
      const shape = [1, imageLength(picture), sizes.transformer.inChannels];
      return {
        name: `recover  bfloat16  [${shape.join(",")}]  ${way(backward)}`,
        why: picture.name,
        torch: { op: "recover", shape, height, width, dtype: "bfloat16", backward },
        ...fullOf(picture),
        setUp: () => {
          const [clean, noise] = [input(shape, "float32"), input(shape, "float32")];
          const options = { g: [-0.2], height, width, scalingFactor, shiftFactor };
          return callOf(
            (velocity) => recover(clean, noise, velocity, options),
            [input(shape, "bfloat16")],
            { backward },
          );
        },
      };
    }),
  );
