// A complete FLUX folder of micro models with random weights, in the public layouts: what `init micro` writes.
import { saveFolder } from "../checkpoint/folder.js";
import type { FolderWriter } from "../checkpoint/folder_writer.js";
import { autoencoderConfig } from "../models/autoencoder/config.js";
import { Autoencoder } from "../models/autoencoder/model.js";
import { autoencoderNames } from "../models/autoencoder/names.js";
import { clipTextConfig, openClipConfig } from "../models/clip/config.js";
import { clipTextNames, openClipNames } from "../models/clip/names.js";
import { ClipText } from "../models/clip/text_model.js";
import { TwoTower } from "../models/clip/two_tower.js";
import { fluxConfig } from "../models/flux/config.js";
import { Flux } from "../models/flux/model.js";
import { fluxNames } from "../models/flux/names.js";
import { t5Config } from "../models/t5/config.js";
import { T5Encoder } from "../models/t5/model.js";
import { t5Names } from "../models/t5/names.js";
import { initializeParameters } from "../nn/init.js";
import type { NamesMap } from "../nn/names_map.js";
import type { ParameterSet } from "../nn/parameter_set.js";
import { tensorsToWrite } from "../nn/save.js";
import { learnedClipFiles, learnedT5Files } from "../text/index.js";
import * as configs from "./configs.js";

export interface MicroInitOptions {
  seed: bigint;
  dtype: "float32" | "bfloat16";
  /** What the vocabularies are learned from. */
  texts: readonly string[];
}

// Most entries of each vocabulary; few texts give fewer.
const vocabulary = 1024;

interface Part {
  parameters: ParameterSet;
  dispose(): void;
}

/** Writes one model: its config and its weights, drawn from the seed. */
async function writePart(
  folder: FolderWriter,
  { file, base, config }: { file: string; base: string; config: object },
  model: Part,
  map: NamesMap,
  { seed, dtype }: MicroInitOptions,
): Promise<void> {
  try {
    initializeParameters(model.parameters, seed);
    await folder.json(file, config);
    await folder.sharded(base, tensorsToWrite(model.parameters, map, { dtype }), {
      metadata: { format: "pt" },
    });
  } finally {
    model.dispose();
  }
}

/**
 * Writes the folder, or nothing; see `saveFolder`.
 *
 * @throws SrpoError ERR_CHECKPOINT if the place holds files or cannot be written
 */
export async function initMicro(place: string, options: MicroInitOptions): Promise<void> {
  const clip = learnedClipFiles(options.texts, {
    size: vocabulary,
    maxLength: configs.microClipTokens,
  });
  const t5 = learnedT5Files(options.texts, { size: vocabulary, maxLength: configs.microT5Tokens });
  const at = (name: string) => ({
    file: `${name}/config.json`,
    base: `${name}/${name === "transformer" || name === "vae" ? "diffusion_pytorch_model" : "model"}`,
  });
  await saveFolder(place, async (folder) => {
    await folder.json("model_index.json", configs.modelIndex);
    await folder.json("scheduler/scheduler_config.json", configs.schedulerConfig);
    for (const [name, content] of Object.entries(clip.files))
      await folder.bytes(`tokenizer/${name}`, content);
    for (const [name, content] of Object.entries(t5.files))
      await folder.bytes(`tokenizer_2/${name}`, content);

    const flux = fluxConfig(configs.transformerConfig);
    await writePart(
      folder,
      { ...at("transformer"), config: configs.transformerConfig },
      new Flux(flux),
      fluxNames(flux, "diffusers"),
      options,
    );
    const vae = autoencoderConfig(configs.vaeConfig);
    await writePart(
      folder,
      { ...at("vae"), config: configs.vaeConfig },
      new Autoencoder(vae),
      autoencoderNames(vae, "diffusers"),
      options,
    );
    const clipJson = configs.clipConfig(clip.size);
    const clipText = clipTextConfig(clipJson);
    await writePart(
      folder,
      { ...at("text_encoder"), config: clipJson },
      new ClipText(clipText),
      clipTextNames(clipText),
      options,
    );
    const t5Json = configs.t5Config(t5.size);
    const t5Encoder = t5Config(t5Json);
    await writePart(
      folder,
      { ...at("text_encoder_2"), config: t5Json },
      new T5Encoder(t5Encoder),
      t5Names(t5Encoder),
      options,
    );
    const rewardJson = configs.rewardConfig(clip.size);
    const reward = openClipConfig(rewardJson);
    await writePart(
      folder,
      { file: "reward/open_clip_config.json", base: "reward/open_clip_model", config: rewardJson },
      new TwoTower(reward),
      openClipNames(reward),
      options,
    );
  });
}
