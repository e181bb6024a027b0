import path from "node:path";
import { saveFolder } from "../../checkpoint/folder.js";
import { openTensors } from "../../checkpoint/sharded.js";
import { writeSafetensors } from "../../checkpoint/write.js";
import type { Lora } from "../../nn/lora.js";
import { fluxConfig, fluxConfigJson, type FluxConfig } from "../flux/config.js";
import { inferFluxConfig } from "../flux/infer.js";
import { fluxNames, fluxNamesIn } from "../flux/names.js";
import { fluxParameters } from "../flux/parameters.js";
import { openLora } from "../lora/read.js";
import { configWith } from "../part_config.js";
import { checkWritten } from "./check.js";
import { licenceNote, provenance } from "./provenance.js";
import { ParameterStream } from "./stream.js";
import { transformerTensors, type WrittenDType } from "./tensors.js";

/** The layouts that a transformer is written in. */
export type TransformerLayout = "diffusers" | "bfl" | "comfyui";

export interface ConvertOptions {
  readonly to: TransformerLayout;
  readonly dtype: WrittenDType;
  /** A LoRA that is merged on the way, and how much of it. */
  readonly lora?: { readonly place: string; readonly strength: number } | undefined;
  /** Axes of heads that are not FLUX.1's, for a file without a config. */
  readonly axes?: readonly number[] | undefined;
  /** Told what is done: writing, checking. */
  readonly onStage?: (stage: string) => void;
}

export interface Converted {
  readonly config: FluxConfig;
  readonly licence: string;
}

/**
 * Writes a FLUX transformer in another layout and precision, parameter by parameter, then reads the result back and
 * compares it before it calls it done.
 *
 * @param place - the transformer's file or folder
 * @param out - a new folder for `diffusers`, else a file
 * @throws SrpoError ERR_CHECKPOINT, ERR_NOT_FINITE; a file or folder that was there stays as it was unless the whole
 *   was written
 */
export async function convertTransformer(
  place: string,
  out: string,
  { to, dtype, lora, axes, onStage }: ConvertOptions,
): Promise<Converted> {
  using store = openTensors(place);
  const json = configWith(place, store, "transformer");
  const config = json === undefined ? inferFluxConfig(store, axes) : fluxConfig(json);
  const parameters = fluxParameters(config);
  const memory = dtype === "bfloat16" ? "bfloat16" : "float32";
  let adapter: Lora | undefined;
  if (lora !== undefined) {
    adapter = (await openLora(lora.place, config)).lora;
    adapter.strength = lora.strength;
  }
  const from = new ParameterStream(store, fluxNamesIn(config, store.names()), parameters, {
    dtype: memory,
    lora: adapter,
  });
  try {
    onStage?.("hashing the source");
    const metadata = await provenance(config, { place, store });
    onStage?.("writing");
    const map = fluxNames(config, to === "diffusers" ? "diffusers" : "bfl");
    const prefix = to === "comfyui" ? "model.diffusion_model." : "";
    const tensors = transformerTensors(from, map, dtype, prefix);
    if (to === "diffusers")
      await saveFolder(out, async (folder) => {
        await folder.json("config.json", fluxConfigJson(config));
        await folder.sharded("diffusion_pytorch_model", tensors, { metadata });
      });
    else await writeSafetensors(path.resolve(out), tensors, metadata);
    onStage?.("reading it back");
    const namesIn = (names: Iterable<string>) => fluxNamesIn(config, names);
    await checkWritten(out, from, parameters, { dtype, namesIn });
    return { config, licence: licenceNote(config, store) };
  } finally {
    from.dispose();
    adapter?.dispose();
  }
}
