// The figures of the tables: how each is called, written and explained, once for terminal and page.
import type { Figures } from "../evaluation/figures.js";

export interface Figure {
  name: string;
  about: string;
  of: (figures: Figures) => number;
  /** Digits, and whether it is a share. */
  form: "share" | "cosine" | "plain";
}

export const figures: readonly Figure[] = [
  {
    name: "reward",
    about:
      "cosine of picture and prompt in the reward model: what the rivals raise, biased on purpose",
    of: (f) => f.reward,
    form: "cosine",
  },
  {
    name: "SGP",
    about: 'the reward under "Photo. prompt" less that under "CG Render. prompt"',
    of: (f) => f.sgp,
    form: "cosine",
  },
  {
    name: "realism",
    about: "probability of a photograph, by a style judge that no training saw",
    of: (f) => f.realism,
    form: "share",
  },
  {
    name: "alignment",
    about:
      "attributes (shape, colour, size, place, ground, light) found as asked, by another judge",
    of: (f) => f.alignment,
    form: "share",
  },
  {
    name: "lost",
    about: "pictures that miss two attributes or more",
    of: (f) => f.lost,
    form: "share",
  },
  {
    name: "hacked",
    about:
      "pictures with saturation, contrast or texture beyond what any style has, or every judge unsure",
    of: (f) => f.hacked,
    form: "share",
  },
  {
    name: "out of style",
    about:
      "the same by the limits of the style that the judge takes a picture for: moving to photographs alone does not help",
    of: (f) => f.hackedInStyle,
    form: "share",
  },
  {
    name: "artefacts",
    about: "pictures with a stronger grid of 4 or 8 pixels than 99 % of reconstructions",
    of: (f) => f.artefacts,
    form: "share",
  },
  {
    name: "diversity",
    about: "mean distance of the judges' features between pictures of one prompt",
    of: (f) => f.diversity,
    form: "plain",
  },
];

/** A value as the tables have it; a share in percent without the sign where the column says so. */
export function say(value: number, form: Figure["form"]): string {
  const text =
    form === "share"
      ? (100 * value).toFixed(1)
      : form === "cosine"
        ? value.toFixed(3)
        : value.toFixed(2);
  return text.replace(/^-(0\.0+)$/, "$1");
}

/** The column's name with its unit. */
export function headOf({ name, form }: Figure): string {
  return form === "share" ? `${name} %` : name;
}

/** Mean and standard deviation (over n - 1) of several runs. */
export function meanAndDeviation(values: readonly number[]): { mean: number; deviation: number } {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  if (values.length < 2) return { mean, deviation: 0 };
  const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  return { mean, deviation: Math.sqrt(squares / (values.length - 1)) };
}

/** "32.1 ± 4.0", or the mean alone of one run. */
export function sayRuns(values: readonly number[], form: Figure["form"]): string {
  const { mean, deviation } = meanAndDeviation(values);
  const text = say(mean, form);
  return values.length < 2 ? text : `${text} ± ${say(deviation, form)}`;
}
