// Models from what they lie in: a folder with a config, or a file alone.
import { openTensors } from "../checkpoint/sharded.js";
import { fileDTypeBytes } from "../checkpoint/file_dtype.js";
import type { TensorStore } from "../checkpoint/tensor_store.js";
import { loadMasters, loadParameters, type LoadProgress, type MasterRange } from "../nn/load.js";
import type { NamesMap } from "../nn/names_map.js";
import type { ParameterSet, ParameterSetOptions } from "../nn/parameter_set.js";
import { tensorScope } from "../tensor/scope.js";
import type { Tensor } from "../tensor/tensor.js";
import { autoencoderConfig, fluxAutoencoder } from "./autoencoder/config.js";
import { Autoencoder } from "./autoencoder/model.js";
import { autoencoderNamesIn } from "./autoencoder/names.js";
import type { AutoencoderPart } from "./autoencoder/parameters.js";
import { clipTextConfig, hfClipConfig, openClipConfig } from "./clip/config.js";
import { clipTextNamesIn, twoTowerLayoutIn, twoTowerNamesIn } from "./clip/names.js";
import { ClipText } from "./clip/text_model.js";
import { TwoTower } from "./clip/two_tower.js";
import { fluxConfig } from "./flux/config.js";
import { inferFluxConfig } from "./flux/infer.js";
import { Flux } from "./flux/model.js";
import { fluxNamesIn } from "./flux/names.js";
import { configWith } from "./part_config.js";
import * as known from "./public_configs.js";
import { t5Config } from "./t5/config.js";
import { T5Encoder } from "./t5/model.js";
import { t5NamesIn } from "./t5/names.js";

/** How a model is opened. */
export interface OpenOptions extends ParameterSetOptions {
  /** Told after each tensor that was read. */
  onProgress?: LoadProgress;
}

interface Model {
  readonly parameters: ParameterSet;
  dispose: () => void;
}

/** Opens a place, makes the model that is in it and fills it; the memory goes back if that fails. */
async function filled<T extends Model>(
  place: string,
  { onProgress }: OpenOptions,
  make: (store: TensorStore) => { model: T; map: NamesMap },
): Promise<T> {
  using store = openTensors(place);
  const { model, map } = make(store);
  try {
    await loadParameters(model.parameters, map, store, onProgress);
    return model;
  } catch (error) {
    model.dispose();
    throw error;
  }
}

/**
 * A FLUX transformer: the folder of a diffusers checkpoint (`<checkpoint>/transformer`), or a file alone, in
 * diffusers' or BFL's naming, also inside an all-in-one file. Without a config its sizes are told from its
 * tensors.
 *
 * @param options.axes - of heads that are not FLUX.1's, for a file without a config
 * @throws SrpoError ERR_CONFIG with every wrong value, ERR_CHECKPOINT with every wrong tensor
 */
export function openFlux(
  place: string,
  { axes, ...options }: OpenOptions & { axes?: readonly number[] | undefined } = {},
): Promise<Flux> {
  return filled(place, options, (store) => {
    const json = configWith(place, store, "transformer");
    const config = json === undefined ? inferFluxConfig(store, axes) : fluxConfig(json);
    return { model: new Flux(config, options), map: fluxNamesIn(config, store.names()) };
  });
}

/**
 * The float32 values of a transformer's file or folder as bfloat16 weights and the 16 bits beside each: exact
 * masters of what the file holds. Nothing to do for a file in 16 bits, whose values the weights hold.
 *
 * @param remainder - [n, 2], uint8: the optimizer's
 * @param ranges - what of the flat parameters the remainder is of, in order; default all
 */
export async function openFluxMasters(
  place: string,
  { config, parameters }: Flux,
  remainder: Tensor,
  ranges?: readonly MasterRange[],
): Promise<void> {
  using store = openTensors(place);
  const exact = [...store.names()].every((name) => fileDTypeBytes[store.info(name).dtype] <= 2);
  if (exact) return;
  const names = fluxNamesIn(config, store.names());
  await loadMasters(parameters, remainder, names, store, ranges);
}

/** An autoencoder (`<checkpoint>/vae`, `ae.safetensors`, ...), or one part of it; see `openFlux`. */
export function openAutoencoder(
  place: string,
  options: OpenOptions & { parts?: readonly AutoencoderPart[] } = {},
): Promise<Autoencoder> {
  return filled(place, options, (store) => {
    const json = configWith(place, store, "vae");
    const config = json === undefined ? fluxAutoencoder : autoencoderConfig(json);
    const map = autoencoderNamesIn(config, store.names(), options.parts);
    return { model: new Autoencoder(config, options), map };
  });
}

/** CLIP's text tower (`<checkpoint>/text_encoder`, `clip_l.safetensors`, ...); see `openFlux`. */
export function openClipText(place: string, options: OpenOptions = {}): Promise<ClipText> {
  return filled(place, options, (store) => {
    const config = clipTextConfig(
      configWith(place, store, "text_encoder") ?? known.clipLConfigJson,
    );
    return { model: new ClipText(config, options), map: clipTextNamesIn(config, store.names()) };
  });
}

/** A T5 encoder (`<checkpoint>/text_encoder_2`, `t5xxl_fp16.safetensors`, ...); see `openFlux`. */
export function openT5(place: string, options: OpenOptions = {}): Promise<T5Encoder> {
  return filled(place, options, (store) => {
    const config = t5Config(configWith(place, store, "text_encoder_2") ?? known.t5XxlConfigJson);
    return { model: new T5Encoder(config, options), map: t5NamesIn(config, store.names()) };
  });
}

/**
 * A two-tower reward: open_clip's layout (HPSv2.1, LAION's) or transformers' (PickScore), told by the names of
 * its tensors; a folder, or a file alone. Without a config it is a ViT-H/14, as all of these are.
 */
export function openTwoTower(place: string, options: OpenOptions = {}): Promise<TwoTower> {
  return filled(place, options, (store) => {
    const names = [...store.names()];
    const layout = twoTowerLayoutIn(names);
    const json = (name: string) => configWith(place, store, "reward", name);
    const config =
      layout === "open_clip"
        ? openClipConfig(json("open_clip_config.json") ?? known.openClipVitHConfigJson)
        : hfClipConfig(json("config.json") ?? known.hfClipVitHConfigJson);
    return { model: new TwoTower(config, options), map: twoTowerNamesIn(config, names) };
  });
}

/** What of a two-tower reward stands outside its towers. */
export interface TwoTowerFacts {
  /** `hf` hides padding from the text tower and scales by exp(logit_scale), `open_clip` does not. */
  readonly layout: "open_clip" | "hf";
  /** exp(logit_scale) in float32, whatever the model's dtype: bfloat16 is 1 % off. */
  readonly logitScale: number;
}

/** The layout of a two-tower reward's file or folder, and its scale. */
export async function openTwoTowerFacts(place: string): Promise<TwoTowerFacts> {
  using store = openTensors(place);
  using scope = tensorScope();
  void scope;
  const layout = twoTowerLayoutIn(store.names());
  const name =
    [...store.names()].find((n) => /^(?:module\.)?logit_scale$/.test(n)) ?? "logit_scale";
  const [raw] = await store.read(name, { dtype: "float32" }).read();
  return { layout, logitScale: Math.exp(raw!) };
}
