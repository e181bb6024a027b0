import { prefixed, thirds, whole, type DiskTensor, type NamesMap } from "../../nn/names_map.js";
import type { Parameter } from "../../nn/parameter.js";
import type { AestheticConfig, SiglipConfig } from "./config.js";
import { aestheticHeadParameters, siglipParameters } from "./parameters.js";

function towerTensors(parameter: Parameter, { width, patchSize }: SiglipConfig): DiskTensor[] {
  const disk = `vision_model.${parameter.name}`;
  if (parameter.name === "embeddings.patch_embedding.weight")
    return [whole(disk, parameter, { shape: [width, 3, patchSize, patchSize] })];
  if (parameter.name === "head.probe") return [whole(disk, parameter, { shape: [1, 1, width] })];
  if (parameter.name.includes(".in_proj."))
    return [whole(disk.replace(".in_proj.", ".in_proj_"), parameter)];
  if (!parameter.name.includes(".qkv.")) return [whole(disk, parameter)];
  const parts = ["q_proj", "k_proj", "v_proj"];
  return thirds(
    parts.map((part) => disk.replace(".qkv.", `.${part}.`)),
    parameter,
  );
}

/** transformers' names of a SigLIP image tower; the text tower of a whole model is not looked at. */
export function siglipNames(config: SiglipConfig): NamesMap {
  return {
    tensors: siglipParameters(config).flatMap((p) => towerTensors(p, config)),
    ignores: (disk) => !disk.startsWith("vision_model.") || disk.endsWith(".position_ids"),
  };
}

/** The names of Aesthetic Predictor v2.5's head; in an assembled model `layers.` stands before them. */
export function aestheticHeadNames(
  width: number,
  { prefix = "", widths }: { prefix?: "" | "layers."; widths?: readonly number[] } = {},
): NamesMap {
  const tensors = aestheticHeadParameters(width, widths).map((p) => whole(p.name, p));
  return prefixed(prefix, { tensors, ignores: () => false });
}

/** Tower and head of one predictor, with or without `layers.` before the head's names, as they stand there. */
export function aestheticNamesIn(
  { tower, head }: AestheticConfig,
  onDisk: Iterable<string>,
): NamesMap {
  const assembled = [...onDisk].some((name) => name.startsWith("layers.scoring_head."));
  const prefix = assembled ? "layers." : "";
  const vision = siglipNames(tower);
  const scoring = aestheticHeadNames(tower.width, { prefix, widths: head });
  return {
    tensors: [...vision.tensors, ...scoring.tensors],
    ignores: (disk) => vision.ignores(disk) && !disk.startsWith(`${prefix}scoring_head.`),
  };
}
