import { existsSync } from "node:fs";
import path from "node:path";
import { makeFolder, replaceFile } from "../checkpoint/durable.js";
import { readJson } from "../checkpoint/strict_json.js";
import { picturesOf } from "../data/grid.js";
import { encodePng } from "../data/png.js";
import { downsampling } from "../models/autoencoder/config.js";
import type { Flux } from "../models/flux/model.js";
import { openLora } from "../models/lora/read.js";
import { loadAutoencoder, loadTextEncoders, loadTransformer } from "../models/pipeline/load.js";
import { folderPlace, type ModelPlace } from "../models/pipeline/places.js";
import { native } from "../native/binding.js";
import { SrpoError } from "../native/error.js";
import type { Lora } from "../nn/lora.js";
import { purposes, randn } from "../ops/index.js";
import {
  dynamicMu,
  fluxDevSchedule,
  inferenceSigmas,
  shiftedSigmas,
  type FlowMatchSchedule,
} from "../sampler/schedule.js";
import { synchronize } from "../tensor/device.js";
import { tensorScope } from "../tensor/scope.js";
import { readPrompts } from "../text/prompts.js";
import { AutoencoderDecoder, FluxPolicy } from "../methods/flux_policy.js";
import { deviceOption, mostPixels } from "../train/config.js";
import { loading } from "../train/loading.js";
import { Progress } from "../train/progress.js";
import { sampleImages } from "../train/samples.js";
import { requireDevice } from "../train/setup.js";
import { warnOfLongPrompts } from "./long_prompts.js";
import { warnOfUnknownWords } from "./world_words.js";
import { command } from "./command.js";
import { threads } from "./threads.js";
import { interruptedCode } from "./interrupt.js";

/** The schedule that a folder's scheduler says, FLUX.1-dev's if it has none. */
function scheduleOf(model: ModelPlace): FlowMatchSchedule {
  const file = path.join(folderPlace(model, "scheduler"), "scheduler_config.json");
  if (!existsSync(file)) return fluxDevSchedule;
  const json = readJson(file) as Record<string, unknown>;
  const number = (key: string, fallback: number) =>
    typeof json[key] === "number" ? json[key] : fallback;
  return {
    shift: number("shift", 1),
    useDynamicShifting: json["use_dynamic_shifting"] === true,
    baseShift: number("base_shift", fluxDevSchedule.baseShift),
    maxShift: number("max_shift", fluxDevSchedule.maxShift),
    baseImageSeqLen: number("base_image_seq_len", fluxDevSchedule.baseImageSeqLen),
    maxImageSeqLen: number("max_image_seq_len", fluxDevSchedule.maxImageSeqLen),
  };
}

/** Gives a transformer a LoRA, merged or beside the weights; what is left to dispose of. */
async function applyLora(
  model: Flux,
  place: string,
  { strength, merge }: { strength: number; merge: boolean },
): Promise<Lora | undefined> {
  const { dtype, device } = model.parameters;
  // A merge is done in float32 whatever the weights are.
  const options = { dtype: merge ? "float32" : dtype, device } as const;
  const { lora, skipped } = await openLora(place, model.config, options);
  if (skipped.length > 0)
    process.stderr.write(`lora: ${skipped.length} modules of text encoders are left out\n`);
  lora.strength = strength;
  if (!merge) {
    model.parameters.adapter = lora;
    return lora;
  }
  lora.mergeInto(model.parameters);
  await synchronize(device);
  lora.dispose();
  return undefined;
}

async function makeOut(out: string): Promise<void> {
  await makeFolder(path.resolve(out)).catch((error: unknown) => {
    const got = error instanceof Error ? error.message : String(error);
    throw new SrpoError("ERR_CONFIG", `out: ${got}`, { cause: error });
  });
}

export const sampleCommand = command({
  name: "sample",
  positional: "[prompt ...]",
  summary: "prompts to pictures, from any FLUX folder: a base model or a training checkpoint",
  schema: {
    model: { type: "text", help: "FLUX folder, or a file of its transformer or of all of it" },
    base: {
      type: "text",
      help: "FLUX folder that has what a file has not; default: the folder it lies in",
    },
    lora: { type: "text", help: "LoRA of the transformer: diffusers', kohya's or BFL's naming" },
    loraScale: { type: "number", default: 1, help: "how much of the LoRA" },
    mergeLora: {
      type: "boolean",
      default: true,
      help: "add the LoRA to the weights; --no-merge-lora keeps it beside them",
    },
    prompts: { type: "text", help: "file of prompts, one a line, instead of arguments" },
    out: { type: "text", default: "samples", help: "folder of the pictures, PNG" },
    seed: { type: "seed", default: "0", help: "of the noise" },
    count: {
      type: "number",
      integer: true,
      min: 1,
      max: 65536,
      default: 1,
      help: "pictures a prompt",
    },
    steps: { type: "number", integer: true, min: 1, max: 10000, default: 28, help: "Euler steps" },
    guidance: { type: "number", default: 3.5, help: "guidance input" },
    shift: {
      type: "number",
      min: 0.01,
      help: "static time shift as SRPO's sampler; default: the folder's scheduler",
    },
    height: {
      type: "number",
      integer: true,
      min: 16,
      max: mostPixels,
      default: 720,
      help: "in pixels",
    },
    width: {
      type: "number",
      integer: true,
      min: 16,
      max: mostPixels,
      default: 720,
      help: "in pixels",
    },
    batch: {
      type: "number",
      integer: true,
      min: 1,
      max: 4096,
      default: 1,
      help: "pictures a forward",
    },
    device: deviceOption,
    precision: {
      type: "text",
      default: "bf16",
      choices: ["bf16", "f32"],
      help: "of weights and activations",
    },
    threads,
  },
  stops: true,
  examples: [
    ['sample --model micro --height 64 --width 64 "a red fox in the snow"', "samples/00000.png"],
    [
      "sample --model srpo/diffusion_pytorch_model.safetensors --base FLUX.1-dev PROMPT",
      "a transformer alone, the rest from a FLUX folder",
    ],
    ["sample --model runs/srpo-1/checkpoints/step-000020 --prompts prompts.txt --count 4", ""],
  ],
  async run(o, { positional, signal }) {
    if (o.model === undefined)
      throw new SrpoError("ERR_CONFIG", "model: expected a FLUX folder, got none");
    if (o.prompts !== undefined && positional.length > 0)
      throw new SrpoError("ERR_CONFIG", "sample: expected prompts or --prompts FILE, got both");
    const prompts = o.prompts === undefined ? positional : await readPrompts(o.prompts);
    if (prompts.length === 0)
      throw new SrpoError("ERR_CONFIG", "sample: expected prompts or --prompts FILE, got none");
    warnOfUnknownWords(o.model, prompts);
    const device = requireDevice(o.device);
    native.cpuSetThreads(o.threads);
    const dtype = o.precision === "bf16" ? "bfloat16" : "float32";
    const place = { model: o.model, base: o.base };
    const model = await loadTransformer(place, { dtype, device, ...loading("transformer") });
    const adapter =
      o.lora === undefined
        ? undefined
        : await applyLora(model, o.lora, { strength: o.loraScale, merge: o.mergeLora });
    const vae = await loadAutoencoder(place, { dtype, device, parts: ["decoder"] });
    const encoders = await loadTextEncoders(place, { dtype, device, ...loading("text encoders") });
    warnOfLongPrompts(encoders, prompts);
    const factor = downsampling(vae.config);
    if (o.height % (2 * factor) !== 0 || o.width % (2 * factor) !== 0)
      throw new SrpoError(
        "ERR_CONFIG",
        `height, width: expected multiples of ${2 * factor}, got ${o.height} and ${o.width}`,
      );
    const [h, w] = [o.height / factor, o.width / factor];
    const tokens = (h * w) / 4;
    const schedule = scheduleOf(place);
    const sigmas =
      o.shift === undefined
        ? inferenceSigmas(o.steps, schedule, dynamicMu(schedule, tokens))
        : shiftedSigmas(o.steps, o.shift);
    const policy = new FluxPolicy(model, { height: h / 2, width: w / 2 }, { timesteps: "exact" });
    const decoder = new AutoencoderDecoder(vae, h, w);
    await makeOut(o.out);

    const all = prompts.flatMap((prompt) => Array.from({ length: o.count }, () => prompt));
    const progress = new Progress({
      unit: "steps",
      total: o.steps * Math.ceil(all.length / o.batch),
    });
    let done = 0;
    for (let start = 0; start < all.length && !signal.aborted; start += o.batch) {
      using scope = tensorScope();
      void scope;
      const some = all.slice(start, start + o.batch);
      const samples = some.map((_, i) => start + i);
      const key = { seed: BigInt(o.seed), purpose: purposes.sampleNoise, step: 0, device };
      const noise = randn([some.length, tokens, model.config.inChannels], {
        ...key,
        sample: samples,
      });
      const images = await sampleImages(policy, decoder, encoders.encode(some), noise, {
        sigmas,
        guidance: o.guidance,
        onStep: () => progress.update(++done),
      });
      for (const [i, picture] of (await picturesOf(images)).entries()) {
        const file = path.join(o.out, `${String(start + i).padStart(5, "0")}.png`);
        const text = {
          Software: "srpo-native",
          prompt: some[i]!,
          seed: o.seed,
          steps: `${o.steps}`,
        };
        const png = encodePng(picture, text);
        await replaceFile(file, (sink) => sink.write(png));
        process.stdout.write(`${file}\n`);
      }
    }
    progress.end();
    encoders.dispose();
    vae.dispose();
    adapter?.dispose();
    policy.dispose();
    return signal.aborted ? interruptedCode(signal) : 0;
  },
});
