// Models from the folders of a checkpoint: their own config file, and the weights beside it.
import { existsSync } from "node:fs";
import path from "node:path";
import { fileDTypeBytes } from "../checkpoint/file_dtype.js";
import { openTensors } from "../checkpoint/sharded.js";
import { readJson } from "../checkpoint/strict_json.js";
import { loadMasters, loadParameters } from "../nn/load.js";
import type { NamesMap } from "../nn/names_map.js";
import type { ParameterSet, ParameterSetOptions } from "../nn/parameter_set.js";
import { tensorScope } from "../tensor/scope.js";
import type { Tensor } from "../tensor/tensor.js";
import { autoencoderConfig } from "./autoencoder/config.js";
import { Autoencoder } from "./autoencoder/model.js";
import { autoencoderNamesIn } from "./autoencoder/names.js";
import type { AutoencoderPart } from "./autoencoder/parameters.js";
import { clipTextConfig, hfClipConfig, openClipConfig } from "./clip/config.js";
import { clipTextNames, twoTowerNamesIn } from "./clip/names.js";
import { ClipText } from "./clip/text_model.js";
import { TwoTower } from "./clip/two_tower.js";
import { fluxConfig } from "./flux/config.js";
import { Flux } from "./flux/model.js";
import { fluxNamesIn } from "./flux/names.js";
import { t5Config } from "./t5/config.js";
import { T5Encoder } from "./t5/model.js";
import { t5NamesIn } from "./t5/names.js";

/** Makes the model of a folder and fills it; the memory goes back if that fails. */
async function filled<T extends { parameters: ParameterSet; dispose: () => void }>(
  folder: string,
  make: () => T,
  names: (onDisk: Iterable<string>) => NamesMap,
): Promise<T> {
  using store = openTensors(folder);
  const model = make();
  try {
    await loadParameters(model.parameters, names(store.names()), store);
    return model;
  } catch (error) {
    model.dispose();
    throw error;
  }
}

const configIn = (folder: string) => readJson(path.join(folder, "config.json"));

/**
 * The transformer of a diffusers folder (`<checkpoint>/transformer`), in diffusers' or BFL's naming.
 *
 * @throws SrpoError ERR_CONFIG with every wrong value, ERR_CHECKPOINT with every wrong tensor
 */
export function openFlux(folder: string, options: ParameterSetOptions = {}): Promise<Flux> {
  const config = fluxConfig(configIn(folder));
  return filled(
    folder,
    () => new Flux(config, options),
    (onDisk) => fluxNamesIn(config, onDisk),
  );
}

/**
 * The float32 values of a transformer's folder as bfloat16 weights and the 16 bits beside each: exact
 * masters of what the file holds. Nothing to do for a file in 16 bits, whose values the weights hold.
 *
 * @param remainder - [n, 2], uint8: the optimizer's
 */
export async function openFluxMasters(
  folder: string,
  { config, parameters }: Flux,
  remainder: Tensor,
): Promise<void> {
  using store = openTensors(folder);
  const exact = [...store.names()].every((name) => fileDTypeBytes[store.info(name).dtype] <= 2);
  if (!exact) await loadMasters(parameters, remainder, fluxNamesIn(config, store.names()), store);
}

/** The autoencoder of a folder (`<checkpoint>/vae`), or one part of it; see `openFlux`. */
export function openAutoencoder(
  folder: string,
  options: ParameterSetOptions & { parts?: readonly AutoencoderPart[] } = {},
): Promise<Autoencoder> {
  const config = autoencoderConfig(configIn(folder));
  return filled(
    folder,
    () => new Autoencoder(config, options),
    (onDisk) => autoencoderNamesIn(config, onDisk, options.parts),
  );
}

/** CLIP's text tower from a folder (`<checkpoint>/text_encoder`); see `openFlux`. */
export function openClipText(folder: string, options: ParameterSetOptions = {}): Promise<ClipText> {
  const config = clipTextConfig(configIn(folder));
  return filled(
    folder,
    () => new ClipText(config, options),
    () => clipTextNames(config),
  );
}

/** The T5 encoder of a folder (`<checkpoint>/text_encoder_2`); see `openFlux`. */
export function openT5(folder: string, options: ParameterSetOptions = {}): Promise<T5Encoder> {
  const config = t5Config(configIn(folder));
  return filled(
    folder,
    () => new T5Encoder(config, options),
    (onDisk) => t5NamesIn(config, onDisk),
  );
}

/** A two-tower reward's folder: open_clip's hub layout (`open_clip_config.json`) or transformers'. */
export function openTwoTower(folder: string, options: ParameterSetOptions = {}): Promise<TwoTower> {
  const openClip = path.join(folder, "open_clip_config.json");
  const config = existsSync(openClip)
    ? openClipConfig(readJson(openClip))
    : hfClipConfig(configIn(folder));
  return filled(
    folder,
    () => new TwoTower(config, options),
    (onDisk) => twoTowerNamesIn(config, onDisk),
  );
}

/** exp(logit_scale) of a two-tower reward's folder, in float32 whatever the model's dtype: bfloat16 is 1 % off. */
export async function openLogitScale(folder: string): Promise<number> {
  using store = openTensors(folder);
  using scope = tensorScope();
  void scope;
  const [raw] = await store.read("logit_scale", { dtype: "float32" }).read();
  return Math.exp(raw!);
}
