// What pictures of the world are like, so that what no style contains can be told: percentiles of held-out
// renders as the autoencoder decodes them.
import { existsSync } from "node:fs";
import path from "node:path";
import { replaceFile } from "../../checkpoint/durable.js";
import { isObject, readJson, type Json } from "../../checkpoint/strict_json.js";
import type { Autoencoder } from "../../models/autoencoder/model.js";
import { SrpoError } from "../../native/error.js";
import { tensorScope } from "../../tensor/scope.js";
import type { Judges } from "../judges/judge.js";
import { eachForward, reconstruct } from "../pretrain/autoencoder.js";
import { PicturePool } from "../pretrain/pool.js";
import { styles, type Style } from "../styles.js";
import { examine, type Examined } from "./examine.js";

/** The 1st and the 99th percentile. */
export interface Range {
  readonly low: number;
  readonly high: number;
}

/** What a picture's saturation, contrast and fine texture lie in. */
export const rangeNames = ["saturation", "contrast", "texture"] as const;
export type Ranges = Readonly<Record<(typeof rangeNames)[number], Range>>;

/** Of a grid's amplitude: the mean and the 99th percentile. */
export interface GridLimit {
  readonly mean: number;
  readonly high: number;
}

/** Of one style's pictures. The outlines of flat ones leave twice the grid that photos have. */
export type StyleLimits = Ranges & { readonly grid4: GridLimit; readonly grid8: GridLimit };

export interface Limits {
  /** Reconstructions that they were taken from. */
  readonly pictures: number;
  readonly all: Ranges;
  readonly byStyle: Readonly<Record<Style, StyleLimits>>;
  /** The 1st percentile of how sure each judge is. */
  readonly sure: { readonly style: number; readonly attributes: number };
}

/** Scenes of the validation split that limits are taken from, each in all styles. */
export const limitScenes = 400;

/** Where a micro folder has them. */
export const limitsName = "judges/limits.json";
const limitsFile = (folder: string) => path.join(folder, limitsName);

/** The value below which a share of the values lies, between neighbours in proportion. */
export function percentile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  const at = share * (sorted.length - 1);
  const [low, high] = [sorted[Math.floor(at)]!, sorted[Math.ceil(at)]!];
  return low + (high - low) * (at - Math.floor(at));
}

function rangesOf(examined: readonly Examined[]): Ranges {
  const entries = rangeNames.map((name) => {
    const values = examined.map((one) => one[name]);
    return [name, { low: percentile(values, 0.01), high: percentile(values, 0.99) }];
  });
  return Object.fromEntries(entries) as Ranges;
}

function gridLimit(values: readonly number[]): GridLimit {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  return { mean, high: percentile(values, 0.99) };
}

function styleLimits(examined: readonly Examined[]): StyleLimits {
  return {
    ...rangesOf(examined),
    grid4: gridLimit(examined.map(({ grid4 }) => grid4)),
    grid8: gridLimit(examined.map(({ grid8 }) => grid8)),
  };
}

/** @param examined - reconstructions of renders, each with its style */
export function limitsOf(examined: readonly (Examined & { drawn: Style })[]): Limits {
  const sure = (judge: "style" | "attributes") =>
    percentile(
      examined.map((one) => one.sure[judge]),
      0.01,
    );
  const byStyle = styles.map((style) => [
    style,
    styleLimits(examined.filter(({ drawn }) => drawn === style)),
  ]);
  return {
    pictures: examined.length,
    all: rangesOf(examined),
    byStyle: Object.fromEntries(byStyle) as Record<Style, StyleLimits>,
    sure: { style: sure("style"), attributes: sure("attributes") },
  };
}

export interface MeasureOptions {
  /** Default `limitScenes`. */
  scenes?: number;
  signal?: AbortSignal;
  /** Told how many pictures are through. */
  onDone?: (done: number) => void;
}

/** Draws scenes of the validation split, reconstructs them and takes their limits. */
export async function measureLimits(
  { autoencoder, judges }: { autoencoder: Autoencoder; judges: Judges },
  { scenes = limitScenes, signal, onDone }: MeasureOptions = {},
): Promise<Limits> {
  const pool = await PicturePool.draw("validation", scenes, signal === undefined ? {} : { signal });
  const all: (Examined & { drawn: Style })[] = [];
  for (let first = 0; first < pool.size; first += eachForward) {
    signal?.throwIfAborted();
    using scope = tensorScope();
    void scope;
    const count = Math.min(eachForward, pool.size - first);
    const places = Array.from({ length: count }, (_, i) => first + i);
    const examined = await examine(reconstruct(autoencoder, pool.batch(places)), judges);
    examined.forEach((one, i) => all.push({ ...one, drawn: styles[(first + i) % styles.length]! }));
    onDone?.(all.length);
  }
  return limitsOf(all);
}

/** As a file has them: six digits are more than 1,600 pictures can tell. */
export function limitsText(limits: Limits): string {
  const short = (_: string, value: unknown) =>
    typeof value === "number" ? Number(value.toPrecision(6)) : value;
  return `${JSON.stringify(limits, short, 2)}\n`;
}

/** Writes them into a micro folder, where `readLimits` finds them; returns the file. */
export async function writeLimits(folder: string, limits: Limits): Promise<string> {
  const file = limitsFile(folder);
  await replaceFile(file, (sink) => sink.write(Buffer.from(limitsText(limits))));
  return file;
}

const nothing = { low: 0, high: 0 };
const noRanges: Ranges = { saturation: nothing, contrast: nothing, texture: nothing };
const noGrid: GridLimit = { mean: 0, high: 0 };
const noStyle: StyleLimits = { ...noRanges, grid4: noGrid, grid8: noGrid };
const form: Limits = {
  pictures: 0,
  all: noRanges,
  byStyle: { photo: noStyle, cg: noStyle, painting: noStyle, flat: noStyle },
  sure: { style: 0, attributes: 0 },
};

/** Where a value has no number that the form has, by path. */
function missingIn(value: Json | undefined, like: object | number, at: string): string[] {
  if (typeof like === "number") return typeof value === "number" ? [] : [at];
  return Object.entries(like).flatMap(([name, part]) =>
    missingIn(
      isObject(value) ? value[name] : undefined,
      part as object | number,
      at === "" ? name : `${at}.${name}`,
    ),
  );
}

/** @throws SrpoError ERR_CHECKPOINT if the folder has none, or no such file */
export function readLimits(folder: string): Limits {
  const file = limitsFile(folder);
  const hint = `"srpo-native micro limits ${folder}" writes them`;
  if (!existsSync(file))
    throw new SrpoError(
      "ERR_CHECKPOINT",
      `${file}: expected the limits of this folder's pictures, got none; ${hint}`,
    );
  const json = readJson(file);
  const missing = missingIn(json, form, "");
  if (missing.length > 0)
    throw new SrpoError(
      "ERR_CHECKPOINT",
      `${file}: expected a number at ${missing.join(", ")}; ${hint}`,
    );
  return json as unknown as Limits;
}
