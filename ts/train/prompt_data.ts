// The prompts of a run and of its sample grids, as the policy reads them.
import { noGrad } from "../autograd/tape.js";
import { EmbeddingFolder } from "../data/embeddings.js";
import type { PromptFeatures } from "../methods/method.js";
import { loadTextEncoders } from "../models/pipeline/load.js";
import type { TextEncoders } from "../models/pipeline/text_encoders.js";
import { SrpoError } from "../native/error.js";
import { concat } from "../ops/index.js";
import type { Device } from "../tensor/device.js";
import { release } from "../tensor/scope.js";
import { readPrompts, shippedPromptsFile } from "../text/prompts.js";
import type { TrainConfig } from "./config.js";
import { evaluationEvery } from "./evaluations.js";

/** A list of prompts and what the policy reads of them. */
export interface PromptData {
  readonly size: number;
  readonly captions: readonly string[];
  /** By place in the list. */
  features(places: readonly number[]): Promise<PromptFeatures>;
}

interface Precision {
  dtype: "float32" | "bfloat16";
  device: Device;
}

// Encoded prompts that are kept; FLUX.1-dev's take 4 MB each.
const mostKept = 4096;

/** Prompts that the text encoders read, each once as long as it is kept. */
class EncodedPrompts implements PromptData {
  readonly #known = new Map<number, PromptFeatures>();
  #warned = false;

  constructor(
    readonly captions: readonly string[],
    readonly encoders: TextEncoders,
  ) {}

  get size(): number {
    return this.captions.length;
  }

  features(places: readonly number[]): Promise<PromptFeatures> {
    const all = places.map((place) => this.#encoded(place));
    const together = (part: keyof PromptFeatures) =>
      noGrad(() =>
        concat(
          all.map((features) => features[part]),
          0,
        ),
      );
    const features = { txt: together("txt"), pooled: together("pooled") };
    this.#forget(mostKept);
    return Promise.resolve(features);
  }

  #encoded(place: number): PromptFeatures {
    const known = this.#known.get(place);
    if (known !== undefined) return known;
    this.#warn(this.captions[place]!);
    // One at a time: the same bits whatever the batch.
    const { txt, pooled } = this.encoders.encode([this.captions[place]!]);
    const features = { txt: release(txt), pooled: release(pooled) };
    this.#known.set(place, features);
    return features;
  }

  /** Says once that prompts are longer than what the encoders read. */
  #warn(prompt: string): void {
    const said = this.#warned ? undefined : this.encoders.shortened(prompt);
    if (said === undefined) return;
    this.#warned = true;
    process.stderr.write(`prompts: ${said}; of others as long it is not said\n`);
  }

  /** Frees the oldest beyond `most`. */
  #forget(most: number): void {
    for (const [place, { txt, pooled }] of this.#known) {
      if (this.#known.size <= most) return;
      txt.dispose();
      pooled.dispose();
      this.#known.delete(place);
    }
  }

  dispose(): void {
    this.#forget(0);
  }
}

/** Embeddings that `preprocess` wrote, checked against the model and against captions that are known. */
async function cached(
  place: string,
  widths: { txt: number; pooled: number },
  captions: readonly string[] | undefined,
  precision: Precision,
): Promise<PromptData & { dispose(): void }> {
  const folder = await EmbeddingFolder.open(place);
  const { textWidth, pooledWidth } = folder.index;
  const dispose = () => {
    folder[Symbol.dispose]();
  };
  const refuse = (expected: string, got: string) => {
    dispose();
    throw new SrpoError("ERR_CONFIG", `embeddings: expected ${expected}, got ${got}`);
  };
  if (textWidth !== widths.txt || pooledWidth !== widths.pooled)
    refuse(
      `txt of ${widths.txt} and pooled of ${widths.pooled} channels for this model`,
      `${textWidth} and ${pooledWidth}`,
    );
  const at = captions?.findIndex((caption, i) => caption !== folder.prompts[i]) ?? -1;
  if (at >= 0)
    refuse(
      `those of the pictures' captions, in order, "${captions![at]}" at ${at}`,
      folder.prompts[at] === undefined ? "none" : `"${folder.prompts[at]}"`,
    );
  return {
    size: captions?.length ?? folder.prompts.length,
    captions: captions ?? folder.prompts,
    features: (places) => folder.read(places, precision),
    dispose,
  };
}

/** A part of a list, in order. */
function partOf(data: PromptData, first: number, size: number): PromptData {
  return {
    size,
    captions: data.captions.slice(first, first + size),
    features: (places) => data.features(places.map((place) => first + place)),
  };
}

/** A list cut in two: what is trained on, and the last prompts, which are judged by alone. */
function heldOut(all: PromptData, count: number): { data: PromptData; evalData: PromptData } {
  if (2 * count > all.size)
    throw new SrpoError(
      "ERR_CONFIG",
      `evalCount: expected at most half of the ${all.size} prompts to be held out of training, got ${count}; ` +
        "or name others to judge by with --eval-prompts",
    );
  const rest = all.size - count;
  return { data: partOf(all, 0, rest), evalData: partOf(all, rest, count) };
}

export interface LoadedPrompts {
  data: PromptData;
  sampleData: PromptData;
  /** What a second reward judges; undefined without one. */
  evalData: PromptData | undefined;
}

/**
 * The prompts of a run, those of its grids and those that it is judged by: from `embeddings`, or encoded by the model folder's text
 * encoders, which are loaded only if something has to be encoded.
 *
 * @param options.captions - of the pictures, for offline training
 * @param options.widths - channels that the model takes
 * @param options.own - takes what is to be disposed of with the run
 * @throws SrpoError ERR_CONFIG, ERR_CHECKPOINT
 */
export async function loadPromptData(
  config: TrainConfig,
  {
    captions,
    widths,
    own,
    ...precision
  }: Precision & {
    captions: readonly string[] | undefined;
    widths: { txt: number; pooled: number };
    own: <T extends { dispose(): void }>(part: T) => T;
  },
): Promise<LoadedPrompts> {
  const { model, base, prompts, embeddings, samplePrompts, evalPrompts, evalCount } = config;
  const judged = config.evalReward !== undefined && evaluationEvery(config) > 0;
  if (embeddings !== undefined && prompts !== undefined)
    throw new SrpoError(
      "ERR_CONFIG",
      "prompts: expected none beside embeddings, which bring their own, got both",
    );
  const ofGrids = samplePrompts === undefined ? undefined : await readPrompts(samplePrompts);
  const ofEvaluation =
    judged && evalPrompts !== undefined ? await readPrompts(evalPrompts) : undefined;
  const texts = captions ?? (await readPrompts(prompts ?? shippedPromptsFile));
  const encoders =
    embeddings === undefined || ofGrids !== undefined || ofEvaluation !== undefined
      ? own(await loadTextEncoders({ model: model!, base }, precision))
      : undefined;
  const all =
    embeddings === undefined
      ? own(new EncodedPrompts(texts, encoders!))
      : own(await cached(embeddings, widths, captions, precision));
  const encoded = (list: readonly string[]) => own(new EncodedPrompts(list, encoders!));
  const { data, evalData } = !judged
    ? { data: all, evalData: undefined }
    : ofEvaluation === undefined
      ? heldOut(all, evalCount)
      : { data: all, evalData: encoded(ofEvaluation.slice(0, evalCount)) };
  return { data, sampleData: ofGrids === undefined ? data : encoded(ofGrids), evalData };
}
