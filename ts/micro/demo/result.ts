// What one run of one arm gave, as it is kept: figures.json, and the pictures that are shown.
import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import { makeFolder, replaceFile } from "../../checkpoint/durable.js";
import { readJson } from "../../checkpoint/strict_json.js";
import { decodePng, encodePng, type Picture } from "../../data/png.js";
import { SrpoError } from "../../native/error.js";
import type { Figures } from "../evaluation/figures.js";
import type { Budget } from "./lab.js";
import type { Options } from "./settings.js";

/** A look at the policy in training. */
export interface CurvePoint {
  step: number;
  realism: number;
  alignment: number;
  reward: number;
  sgp: number;
  hacked: number;
}

export interface ArmResult {
  arm: string;
  /** Undefined for the base model, which nothing was drawn for. */
  seed: string | undefined;
  updates: number;
  /** What was laid over the defaults of `train`. */
  options: Options;
  budget: Budget;
  /** Of the models; see `Lab.weights`. */
  weights: string;
  figures: Figures;
  /** Pictures through the transformer, and seconds of training; the evaluation's own. */
  cost: { forwards: number; backwards: number; seconds: number; evaluationSeconds: number };
  curve: CurvePoint[];
  /** One picture each of the first prompts. */
  pictures: Picture[];
  captions: string[];
}

const fileOf = (folder: string) => path.join(folder, "figures.json");
const pictureOf = (folder: string, i: number) =>
  path.join(folder, "pictures", `${String(i).padStart(2, "0")}.png`);

/** Keeps a result; figures.json comes last, so that where it is the rest is too. */
export async function keepResult(folder: string, result: ArmResult): Promise<void> {
  const { pictures, ...rest } = result;
  await makeFolder(path.join(folder, "pictures"));
  for (const [i, picture] of pictures.entries()) {
    const png = encodePng(picture, { Software: "srpo-native", prompt: rest.captions[i] ?? "" });
    await replaceFile(pictureOf(folder, i), (sink) => sink.write(png));
  }
  const text = `${JSON.stringify(rest, null, 2)}\n`;
  await replaceFile(fileOf(folder), (sink) => sink.write(Buffer.from(text)));
}

/**
 * What `keepResult` left; undefined where nothing is complete.
 *
 * @throws SrpoError ERR_CHECKPOINT if its files are damaged
 */
export function readResult(folder: string): ArmResult | undefined {
  const file = fileOf(folder);
  if (!existsSync(file)) return undefined;
  const kept = readJson(file) as unknown as Omit<ArmResult, "pictures">;
  if (!Array.isArray(kept.captions) || typeof kept.figures?.realism !== "number")
    throw new SrpoError(
      "ERR_CHECKPOINT",
      `${file}: expected the figures of a run, got another form; remove the folder to measure it anew`,
    );
  const pictures = kept.captions.map((_, i) => {
    const png = pictureOf(folder, i);
    if (!existsSync(png))
      throw new SrpoError(
        "ERR_CHECKPOINT",
        `${png}: expected a picture, got none; remove ${folder} to measure it anew`,
      );
    return decodePng(readFileSync(png), png);
  });
  return { ...kept, seed: kept.seed, pictures };
}
