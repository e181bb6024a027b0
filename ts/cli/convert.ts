import { existsSync } from "node:fs";
import path from "node:path";
import { readJson } from "../checkpoint/strict_json.js";
import { convertTransformer } from "../models/convert/convert.js";
import { fluxConfig } from "../models/flux/config.js";
import { baseFolder, partPlace } from "../models/pipeline/places.js";
import { SrpoError } from "../native/error.js";
import { command } from "./command.js";

/** The axes in the config of the folder that a file lies in, where there is one. */
function axesBeside(place: {
  model: string;
  base: string | undefined;
}): readonly number[] | undefined {
  const file = path.join(baseFolder(place), "transformer", "config.json");
  return existsSync(file) ? fluxConfig(readJson(file)).axes : undefined;
}

export const convertCommand = command({
  name: "convert",
  positional: "MODEL OUT",
  summary: "a FLUX transformer in another layout and precision, read back and compared",
  schema: {
    to: {
      type: "text",
      default: "bfl",
      choices: ["bfl", "comfyui", "diffusers"],
      help: "bfl: one file; comfyui: one file, model.diffusion_model. before the names; diffusers: a folder",
    },
    dtype: {
      type: "text",
      default: "bf16",
      choices: ["f32", "bf16", "fp8"],
      help: "fp8: matrices in F8_E4M3 with a scale each, the rest bf16",
    },
    base: { type: "text", help: "FLUX folder beside a model that is a file" },
    lora: { type: "text", help: "LoRA to merge on the way" },
    loraScale: { type: "number", default: 1, help: "how much of the LoRA" },
  },
  examples: [
    [
      "convert runs/srpo-1/checkpoints/step-000020 flux-srpo.safetensors",
      "one file in BFL's naming",
    ],
    ["convert FLUX.1-dev flux-fp8.safetensors --to comfyui --dtype fp8", "8 bits, for ComfyUI"],
    ["convert flux1-dev.safetensors transformer --to diffusers --base FLUX.1-dev", ""],
  ],
  async run(o, { positional }) {
    const [model, out, ...more] = positional;
    if (model === undefined || out === undefined || more.length > 0)
      throw new SrpoError(
        "ERR_CONFIG",
        `convert: expected MODEL OUT, got ${positional.length === 0 ? "nothing" : positional.join(" ")}`,
      );
    if (existsSync(out))
      throw new SrpoError(
        "ERR_CONFIG",
        `convert: expected a new place, got ${out}, which is there`,
      );
    if (o.dtype === "fp8" && o.to === "diffusers")
      throw new SrpoError("ERR_CONFIG", "dtype: expected f32 or bf16 for diffusers, got fp8");
    const place = { model, base: o.base };
    const dtypes = { f32: "float32", bf16: "bfloat16", fp8: "float8" } as const;
    const { licence } = await convertTransformer(partPlace(place, "transformer"), out, {
      to: o.to,
      dtype: dtypes[o.dtype],
      lora: o.lora === undefined ? undefined : { place: o.lora, strength: o.loraScale },
      axes: axesBeside(place),
      onStage: (stage) => process.stderr.write(`${stage}\n`),
    });
    process.stderr.write(`${licence}\n`);
    process.stdout.write(`${out}\n`);
    return 0;
  },
});
