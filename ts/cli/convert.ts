import { existsSync } from "node:fs";
import path from "node:path";
import { readJson } from "../checkpoint/strict_json.js";
import { convertTransformer } from "../models/convert/convert.js";
import { fluxConfig } from "../models/flux/config.js";
import { baseFolder, partPlace } from "../models/pipeline/places.js";
import { convertLora, extractLoraFile, isLoraAt } from "../models/lora/convert.js";
import { loraLayerNames } from "../models/lora/layers.js";
import type { LoraNaming } from "../models/lora/write.js";
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

interface LoraFlags {
  to: LoraNaming;
  dtype: "f32" | "bf16" | "fp8";
  base: string | undefined;
  lora: string | undefined;
  loraRank: number | undefined;
  loraLayers: readonly string[];
}

/** A LoRA under other names, or out of a model and its base. */
async function writeLoraFile(
  place: string,
  out: string,
  isAdapter: boolean,
  { to: naming, dtype, base, lora, loraRank: rank, loraLayers: layers }: LoraFlags,
): Promise<void> {
  const refuse = (message: string): never => {
    throw new SrpoError("ERR_CONFIG", message);
  };
  if (base === undefined)
    return refuse("base: expected the model that the LoRA belongs to, got none");
  if (isAdapter && rank !== undefined)
    refuse("loraRank: expected none beside a LoRA, which has its own, got one");
  if (lora !== undefined) refuse("lora: expected none where a LoRA is written, got one");
  if (dtype === "fp8") refuse("dtype: expected f32 or bf16 for a LoRA, got fp8");
  const options = {
    naming,
    dtype: dtype === "f32" ? "float32" : "bfloat16",
    base: partPlace({ model: base, base: undefined }, "transformer"),
    axes: axesBeside({ model: base, base: undefined }),
    onStage: (stage: string) => process.stderr.write(`${stage}\n`),
  } as const;
  let licence: string;
  if (rank === undefined) licence = await convertLora(place, out, options);
  else {
    const found = await extractLoraFile(place, out, { ...options, rank, layers });
    const percent = (share: number) => `${(100 * share).toFixed(2)} %`;
    process.stderr.write(
      `the LoRA holds ${percent(found.captured)} of the squared change; ${percent(found.outside)} lies in weights it leaves alone\n`,
    );
    ({ licence } = found);
  }
  process.stderr.write(`${licence}\n`);
  process.stdout.write(`${out}\n`);
}

export const convertCommand = command({
  name: "convert",
  positional: "MODEL OUT",
  summary: "a FLUX transformer in another layout and precision, read back and compared",
  schema: {
    to: {
      type: "text",
      default: "bfl",
      choices: ["bfl", "comfyui", "diffusers", "kohya"],
      help: "bfl: one file; comfyui: one file, model.diffusion_model. before the names; diffusers: a folder; of a LoRA the names (kohya: only of one)",
    },
    dtype: {
      type: "text",
      default: "bf16",
      choices: ["f32", "bf16", "fp8"],
      help: "fp8: matrices in F8_E4M3 with a scale each, the rest bf16",
    },
    base: {
      type: "text",
      help: "FLUX folder beside a model that is a file; the model that a LoRA belongs to, or is the difference from",
    },
    loraRank: {
      type: "number",
      integer: true,
      min: 1,
      max: 4096,
      help: "write the difference from --base as a LoRA of this rank",
    },
    loraLayers: {
      type: "texts",
      default: loraLayerNames,
      help: "of the blocks, that this LoRA has",
    },
    lora: { type: "text", help: "LoRA to merge on the way" },
    loraScale: { type: "number", default: 1, help: "how much of the LoRA" },
  },
  examples: [
    [
      "convert runs/srpo-1/checkpoints/step-000020 flux-srpo.safetensors",
      "one file in BFL's naming",
    ],
    ["convert FLUX.1-dev flux-fp8.safetensors --to comfyui --dtype fp8", "8 bits, for ComfyUI"],
    [
      "convert runs/x/checkpoints/step-000020 lora.safetensors --to kohya --base FLUX.1-dev",
      "a trained LoRA in sd-scripts' names",
    ],
    [
      "convert srpo.safetensors lora.safetensors --lora-rank 64 --to comfyui --base FLUX.1-dev",
      "a LoRA out of a fine-tune of all weights",
    ],
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
    const adapter = isLoraAt(model);
    const transformer = adapter ? model : partPlace(place, "transformer");
    if (adapter || o.loraRank !== undefined) {
      await writeLoraFile(transformer, out, adapter, o);
      return 0;
    }
    if (o.to === "kohya")
      throw new SrpoError("ERR_CONFIG", "to: expected kohya only of a LoRA, got a whole model");
    const dtypes = { f32: "float32", bf16: "bfloat16", fp8: "float8" } as const;
    const { licence } = await convertTransformer(transformer, out, {
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
