// What a reward can tell, on scenes that it was not trained on.
import { noGrad } from "../../autograd/tape.js";
import { tensorScope } from "../../tensor/scope.js";
import { tensor, type Tensor } from "../../tensor/tensor.js";
import { attributeNames, attributeValues, type Attributes } from "../attributes.js";
import { caption, phrasings, withStyleWord } from "../captions.js";
import { styles, styleWords } from "../styles.js";
import { drawsOf, drawStages } from "./draws.js";
import type { PicturePool } from "./pool.js";
import { applyLook, drawPair } from "./taste.js";

export interface RewardToRate {
  /** Normalised features of pictures in [0, 1]. */
  images: (pictures: Tensor) => Tensor;
  /** Normalised features of captions. */
  texts: (captions: readonly string[]) => Tensor;
  validation: PicturePool;
  seed: bigint;
}

type Rows = readonly Float32Array[];

function dot(a: Float32Array, b: Float32Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; ++i) sum += a[i]! * b[i]!;
  return sum;
}

const each = 64; // of one forward

/** Features as rows, a chunk of inputs at a time. */
async function featuresOf<T>(
  inputs: readonly T[],
  encode: (chunk: readonly T[]) => Tensor,
): Promise<Rows> {
  const rows: Float32Array[] = [];
  for (let first = 0; first < inputs.length; first += each) {
    using scope = tensorScope();
    void scope;
    const features = noGrad(() => encode(inputs.slice(first, first + each)));
    const values = await features.read();
    const width = features.dim(1);
    for (let i = 0; i < features.dim(0); ++i) rows.push(values.slice(i * width, (i + 1) * width));
  }
  return rows;
}

const share = (hits: readonly boolean[]) => hits.filter(Boolean).length / hits.length;
const average = (values: readonly number[]) =>
  values.reduce((sum, value) => sum + value, 0) / values.length;

/** Another value of one attribute, all else the same. */
function wrongIn(attributes: Attributes, name: (typeof attributeNames)[number], pick: number) {
  const others = (attributeValues[name] as readonly string[]).filter(
    (value) => value !== attributes[name],
  );
  return { ...attributes, [name]: others[pick % others.length] } as Attributes;
}

/**
 * Zero-shot style accuracy, the share of pictures whose caption beats one with an attribute changed (by
 * attribute), whether the raters' choice is met, and how well each control word tells its style.
 */
export async function rewardFigures(rate: RewardToRate): Promise<Record<string, number>> {
  const { validation, seed } = rate;
  const scenes = validation.scenes.slice(0, 200);
  const places = scenes.flatMap((_, scene) =>
    styles.map((_s, style) => scene * styles.length + style),
  );
  const pictures = await featuresOf(places, (chunk) => rate.images(validation.batch(chunk)));
  const plain = scenes.map(({ attributes, number }) => caption(attributes, number % phrasings));
  const encode = (texts: readonly string[]) => featuresOf(texts, (chunk) => rate.texts(chunk));
  const of = (place: number) => Math.floor(place / styles.length);

  const words = styles.flatMap((style) => styleWords[style].map(({ word }) => ({ style, word })));
  const byWord = new Map<string, Rows>();
  for (const { word } of words)
    byWord.set(word, await encode(plain.map((text) => withStyleWord(word, text))));
  const firstWords = styles.map((style) => byWord.get(styleWords[style][0]!.word)!);
  const told = places.map((place) => {
    const cosines = firstWords.map((rows) => dot(pictures[place]!, rows[of(place)]!));
    return cosines.indexOf(Math.max(...cosines)) === place % styles.length;
  });

  const right = await encode(plain);
  const attributes: Record<string, number> = {};
  for (const name of attributeNames) {
    const wrong = await encode(
      scenes.map((scene) =>
        caption(wrongIn(scene.attributes, name, scene.number), scene.number % phrasings),
      ),
    );
    const hits = places.map(
      (place) =>
        dot(pictures[place]!, right[of(place)]!) > dot(pictures[place]!, wrong[of(place)]!),
    );
    attributes[`tells/${name}`] = share(hits);
  }

  // How much nearer a word is to pictures of its own style than to the others.
  const separation = words.map(({ style, word }) => {
    const rows = byWord.get(word)!;
    const cosine = (own: boolean) =>
      average(
        places
          .filter((place) => (styles[place % styles.length] === style) === own)
          .map((place) => dot(pictures[place]!, rows[of(place)]!)),
      );
    return [`word/${word}`, cosine(true) - cosine(false)] as const;
  });

  return {
    style: share(told),
    ...attributes,
    preference: await preferenceAccuracy(rate, places.slice(0, 256), right, seed),
    cosine: average(places.map((place) => dot(pictures[place]!, right[of(place)]!))),
    ...Object.fromEntries(separation),
  };
}

/** How often the picture that the raters prefer scores higher under its plain caption. */
async function preferenceAccuracy(
  { images, validation }: RewardToRate,
  places: readonly number[],
  right: Rows,
  seed: bigint,
): Promise<number> {
  const score = async (which: 0 | 1) => {
    const rows = await featuresOf(places, (chunk) => {
      const values = validation.values(chunk);
      chunk.forEach((place, i) => {
        const pair = drawPair(drawsOf(seed, { stage: drawStages.look, step: 0, sample: place }));
        applyLook(values, (i * values.length) / chunk.length, pair[which]);
      });
      return images(tensor(values, [chunk.length, ...validation.shape]));
    });
    return rows.map((row, i) => dot(row, right[Math.floor(places[i]! / styles.length)]!));
  };
  const [preferred, other] = [await score(0), await score(1)];
  return share(preferred.map((value, i) => value > other[i]!));
}
