import { attributeNames, type AttributeName } from "../attributes.js";
import { styles, type Style } from "../styles.js";
import type { Examined } from "./examine.js";
import type { Judged } from "./judged.js";
import { rangeNames, type Limits, type Ranges } from "./limits.js";

/** What a method is judged by: means over pictures. Nothing of it is trained against but `reward` and `sgp`. */
export interface Figures {
  /** Cosine of the reward's features with the plain caption. */
  reward: number;
  /** Cosine under "Photo." less that under "CG Render.". */
  sgp: number;
  /** The style judge's probability of photo. */
  realism: number;
  /** The style judge's probability of each style. */
  style: Record<Style, number>;
  /** Share of the attributes that the attribute judge finds as asked. */
  alignment: number;
  /** The same by attribute. */
  finds: Record<AttributeName, number>;
  /** Share of pictures that miss two attributes or more. */
  lost: number;
  /** Share of pictures outside what any style contains: see `isHacked`. */
  hacked: number;
  /** The same by the limits of the style that the judge takes a picture for: moving to photo does not help. */
  hackedInStyle: number;
  /**
   * Share of pictures with a stronger grid, of 4 or 8 pixels, than 99 % of reconstructions have, of the style that
   * the judge takes the picture for. Of reconstructions themselves about one in 60 has.
   */
  artefacts: number;
  /** Mean amplitude of a grid of 4 pixels, and of 8, relative to that style's reconstructions: 1 is as they are. */
  grid4: number;
  grid8: number;
  /** Mean distance of the judges' features between pictures of one prompt; 0 with one picture a prompt. */
  diversity: number;
  saturation: number;
  contrast: number;
  texture: number;
}

const mean = (values: readonly number[]) =>
  values.reduce((sum, value) => sum + value, 0) / Math.max(1, values.length);
const share = (hits: readonly boolean[]) => mean(hits.map(Number));

const outside = (picture: Examined, ranges: Ranges) =>
  rangeNames.some((name) => picture[name] < ranges[name].low || picture[name] > ranges[name].high);

/**
 * Saturation, contrast or fine texture beyond the 1st or 99th percentile, or every judge less sure than of 99 %
 * of reconstructions. Of reconstructions themselves about one in 20 is.
 */
export function isHacked(picture: Examined, { sure }: Limits, ranges: Ranges): boolean {
  const unsure = picture.sure.style < sure.style && picture.sure.attributes < sure.attributes;
  return unsure || outside(picture, ranges);
}

function distance(a: Float32Array, b: Float32Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; ++i) sum += (a[i]! - b[i]!) ** 2;
  return Math.sqrt(sum);
}

/** Mean over prompts of the mean distance between two pictures of one. */
function diversityOf(judged: readonly Judged[]): number {
  const byPrompt = new Map<number, Judged[]>();
  for (const picture of judged) {
    const { number } = picture.asked.scene;
    byPrompt.set(number, [...(byPrompt.get(number) ?? []), picture]);
  }
  const each = [...byPrompt.values()].map((pictures) =>
    mean(
      pictures.flatMap(({ features }, i) =>
        pictures.slice(i + 1).map((other) => distance(features, other.features)),
      ),
    ),
  );
  return mean(each);
}

export function figuresOf(judged: readonly Judged[], limits: Limits): Figures {
  const average = (of: (picture: Judged) => number) => mean(judged.map(of));
  const finds = attributeNames.map((_, q) => share(judged.map(({ found }) => found[q]!)));
  const style = styles.map((_, s) => average((picture) => picture.style[s]!));
  const own = ({ style: said }: Judged) => limits.byStyle[styles[said.indexOf(Math.max(...said))]!];
  return {
    reward: average(({ reward }) => reward),
    sgp: average(({ sgp }) => sgp),
    realism: style[styles.indexOf("photo")]!,
    style: Object.fromEntries(styles.map((name, s) => [name, style[s]])) as Figures["style"],
    alignment: mean(finds),
    finds: Object.fromEntries(
      attributeNames.map((name, q) => [name, finds[q]]),
    ) as Figures["finds"],
    lost: share(judged.map(({ found }) => found.filter((hit) => !hit).length >= 2)),
    hacked: share(judged.map((picture) => isHacked(picture, limits, limits.all))),
    hackedInStyle: share(judged.map((picture) => isHacked(picture, limits, own(picture)))),
    artefacts: share(
      judged.map(
        (picture) =>
          picture.grid4 > own(picture).grid4.high || picture.grid8 > own(picture).grid8.high,
      ),
    ),
    grid4: average((picture) => picture.grid4 / own(picture).grid4.mean),
    grid8: average((picture) => picture.grid8 / own(picture).grid8.mean),
    diversity: diversityOf(judged),
    saturation: average(({ saturation }) => saturation),
    contrast: average(({ contrast }) => contrast),
    texture: average(({ texture }) => texture),
  };
}

/** One name a figure, "style/photo" and "finds/colour" among them: as a log has them. */
export function flatFigures({ style, finds, ...rest }: Figures): Record<string, number> {
  const under = (group: string, values: Record<string, number>) =>
    Object.entries(values).map(([name, value]) => [`${group}/${name}`, value] as const);
  return Object.fromEntries([
    ...Object.entries(rest),
    ...under("style", style),
    ...under("finds", finds),
  ]);
}
