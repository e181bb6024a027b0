// LoRA files written, read back and compared: from another LoRA file, or from a fine-tune of all weights.
import path from "node:path";
import { openTensors } from "../../checkpoint/sharded.js";
import { refuseAll } from "../../checkpoint/store_set.js";
import { writeSafetensors } from "../../checkpoint/write.js";
import { noGrad } from "../../autograd/tape.js";
import { codeOf } from "../../native/error.js";
import { loraName, type Lora } from "../../nn/lora.js";
import { ParameterSet } from "../../nn/parameter_set.js";
import { globalNorm, sub } from "../../ops/index.js";
import { tensorScope } from "../../tensor/scope.js";
import { licenceNote, trainedProvenance, recipeOf } from "../convert/provenance.js";
import { ParameterStream } from "../convert/stream.js";
import { fluxConfig, type FluxConfig } from "../flux/config.js";
import { inferFluxConfig } from "../flux/infer.js";
import { fluxNamesIn } from "../flux/names.js";
import { fluxParameters } from "../flux/parameters.js";
import { configWith } from "../part_config.js";
import { extractLora } from "./extract.js";
import { isLora, openLora } from "./read.js";
import { loraFile, type LoraNaming } from "./write.js";

// Of ||A|| ||B||: both are rounded once, by 2^-9 in bfloat16; float32 has its products' rounding beside.
const allowed = { bfloat16: 2 * 2 ** -9 * 1.01, float32: 1e-6 } as const;

export interface LoraOptions {
  readonly naming: LoraNaming;
  readonly dtype: "float32" | "bfloat16";
  /** The transformer that it belongs to: a file or a folder. */
  readonly base: string;
  /** Of heads that are not FLUX.1's, for a file without a config. */
  readonly axes?: readonly number[] | undefined;
  /** Told what is done: writing, checking. */
  readonly onStage?: ((stage: string) => void) | undefined;
}

/** Whether what lies at a place is a LoRA. */
export function isLoraAt(place: string): boolean {
  try {
    using store = openTensors(place);
    return isLora(store.names());
  } catch (error) {
    // A model's folder, or what the reader of models has its own words for.
    if (codeOf(error) === "ERR_CHECKPOINT") return false;
    throw error;
  }
}

function configOf(place: string, axes: readonly number[] | undefined): FluxConfig {
  using store = openTensors(place);
  const json = configWith(place, store, "transformer");
  return json === undefined ? inferFluxConfig(store, axes) : fluxConfig(json);
}

const normOf = async (lora: Lora, name: string): Promise<number> => {
  using scope = tensorScope();
  void scope;
  const matrix = lora.parameters.get(name);
  return globalNorm(matrix.viewOf(0, [matrix.size])).item();
};

/**
 * Reads a LoRA's file back and holds what it changes of every weight against the LoRA that it was made from.
 *
 * @throws SrpoError ERR_CHECKPOINT that names every weight that differs
 */
export async function checkLora(
  place: string,
  lora: Lora,
  config: FluxConfig,
  dtype: "float32" | "bfloat16",
): Promise<void> {
  const { lora: written } = await openLora(place, config);
  const problems: string[] = [];
  try {
    const changed = new Set([...lora.parts, ...written.parts].map(({ weight }) => weight));
    for (const parameter of fluxParameters(config).filter(({ name }) => changed.has(name))) {
      using scope = tensorScope();
      void scope;
      let bound = 0;
      for (const part of lora.parts.filter(({ weight }) => weight === parameter.name)) {
        const name = loraName(part);
        const [a, b] = [await normOf(lora, `${name}.A`), await normOf(lora, `${name}.B`)];
        bound += Math.abs(part.factor) * a * b;
      }
      const [mine, theirs] = [lora, written].map((adapter) => {
        const set = ParameterSet.create([parameter]);
        adapter.mergeInto(set);
        return set;
      });
      const off = await globalNorm(noGrad(() => sub(mine!.weights, theirs!.weights))).item();
      for (const set of [mine!, theirs!]) set.dispose();
      if (!(off <= allowed[dtype] * bound))
        problems.push(
          `${parameter.name}: expected what was written, got a change that is ${off.toExponential(1)} off`,
        );
    }
  } finally {
    written.dispose();
  }
  refuseAll(place, problems);
}

async function write(
  out: string,
  lora: Lora,
  config: FluxConfig,
  { naming, dtype, onStage, metadata }: LoraOptions & { metadata: Record<string, string> },
): Promise<void> {
  onStage?.("writing");
  const file = await loraFile(lora, config, { naming, dtype });
  await writeSafetensors(path.resolve(out), file.tensors, { ...metadata, ...file.metadata });
  onStage?.("reading it back");
  await checkLora(out, lora, config, dtype);
}

/**
 * Writes a LoRA under another program's names.
 *
 * @returns the licence note of the base
 * @throws SrpoError ERR_CHECKPOINT
 */
export async function convertLora(
  place: string,
  out: string,
  options: LoraOptions,
): Promise<string> {
  const config = configOf(options.base, options.axes);
  const { lora } = await openLora(place, config);
  try {
    using store = openTensors(place);
    const recipe = store.metadata.get("srpo.recipe") ?? recipeOf(place);
    options.onStage?.("hashing the base");
    const metadata = await trainedProvenance(config, options.base, recipe);
    await write(out, lora, config, { ...options, metadata });
    return metadata.license;
  } finally {
    lora.dispose();
  }
}

/** What an extraction came to; see `Extracted`. */
export interface ExtractedFile {
  readonly licence: string;
  readonly captured: number;
  readonly outside: number;
}

/**
 * Writes the difference of a fine-tuned transformer from its base as a LoRA.
 *
 * @throws SrpoError ERR_CHECKPOINT, ERR_CONFIG where there is no difference
 */
export async function extractLoraFile(
  place: string,
  out: string,
  { rank, layers, ...options }: LoraOptions & { rank: number; layers: readonly string[] },
): Promise<ExtractedFile> {
  const config = configOf(options.base, options.axes);
  const parameters = fluxParameters(config);
  using tunedStore = openTensors(place);
  using baseStore = openTensors(options.base);
  const [tuned, base] = [tunedStore, baseStore].map(
    (store) =>
      new ParameterStream(store, fluxNamesIn(config, store.names()), parameters, {
        dtype: "float32",
      }),
  );
  try {
    const { lora, captured, outside } = await extractLora(tuned!, base!, config, {
      rank,
      layers,
      onLayer: (done, all) => {
        if (done % 20 === 0 || done === all) options.onStage?.(`layer ${done} of ${all}`);
      },
    });
    try {
      options.onStage?.("hashing the base");
      const metadata = {
        ...(await trainedProvenance(config, options.base, recipeOf(place))),
        "srpo.captured": captured.toFixed(6),
      };
      await write(out, lora, config, { ...options, metadata });
    } finally {
      lora.dispose();
    }
    return { licence: licenceNote(config, baseStore), captured, outside };
  } finally {
    tuned?.dispose();
    base?.dispose();
  }
}
