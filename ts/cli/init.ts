import { SrpoError } from "../native/error.js";
import { initMicro } from "../micro/init.js";
import { readPrompts, shippedPromptsFile } from "../text/prompts.js";
import { command } from "./command.js";

export const initCommand = command({
  name: "init",
  positional: "micro DIR",
  summary: "writes a complete micro checkpoint folder with random weights, in the public layouts",
  schema: {
    seed: { type: "seed", default: "0", help: "of the weights" },
    dtype: {
      type: "text",
      default: "float32",
      choices: ["float32", "bfloat16"],
      help: "of the files",
    },
  },
  examples: [
    [
      "init micro micro",
      "transformer, vae, two text encoders with tokenizers, and a reward in micro/",
    ],
  ],
  async run({ seed, dtype }, { positional }) {
    const [what, place, ...more] = positional;
    if (what !== "micro" || place === undefined || more.length > 0)
      throw new SrpoError(
        "ERR_CONFIG",
        `init: expected "micro DIR", got ${positional.length === 0 ? "nothing" : positional.join(" ")}`,
      );
    const texts = await readPrompts(shippedPromptsFile);
    await initMicro(place, { seed: BigInt(seed), dtype, texts });
    process.stdout.write(`${place}\n`);
    return 0;
  },
});
