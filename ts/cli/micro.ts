import { mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { encodePng } from "../data/png.js";
import { contactSheet } from "../micro/contact_sheet.js";
import { limitScenes, measureLimits, writeLimits } from "../micro/evaluation/limits.js";
import { openJudges } from "../micro/judges/judge.js";
import { scenesOf, splits, type Split } from "../micro/scenes.js";
import { styles } from "../micro/styles.js";
import { loadAutoencoder } from "../models/pipeline/load.js";
import { codeOf, SrpoError } from "../native/error.js";
import { Progress } from "../train/progress.js";
import { command } from "./command.js";
import { interruptedCode } from "./interrupt.js";

/** The limits of a folder's own reconstructions, into the folder. */
async function writeLimitsOf(folder: string, signal: AbortSignal): Promise<number> {
  const autoencoder = await loadAutoencoder(folder, {
    dtype: "bfloat16",
    parts: ["encoder", "decoder"],
  });
  const judges = await openJudges(folder);
  const progress = new Progress({ unit: "pictures", total: limitScenes * styles.length });
  try {
    const limits = await measureLimits(
      { autoencoder, judges },
      { signal, onDone: (done) => progress.update(done) },
    );
    process.stdout.write(`${await writeLimits(folder, limits)}\n`);
    return 0;
  } catch (error) {
    if (signal.aborted && error === signal.reason) return interruptedCode(signal);
    throw error;
  } finally {
    progress.end();
    for (const part of [autoencoder, judges.style, judges.attributes]) part.dispose();
  }
}

export const microCommand = command({
  name: "micro",
  positional: "render | limits FOLDER",
  stops: true,
  summary:
    "draws a contact sheet of the micro world, a style a row and a scene a column; or measures what its pictures are like",
  schema: {
    out: { type: "text", help: "folder of sheet.png and captions.json" },
    count: { type: "number", integer: true, min: 1, max: 64, default: 12, help: "scenes" },
    first: {
      type: "number",
      integer: true,
      min: 0,
      max: 2 ** 32 - 65,
      default: 0,
      help: "number of the first scene",
    },
    size: { type: "text", default: "64", choices: ["64", "128"], help: "pixels a side" },
    split: {
      type: "text",
      default: "validation",
      choices: Object.keys(splits) as Split[],
      help: "whose scenes",
    },
    seed: { type: "seed", default: "0", help: "of the world; 0 is the shipped models'" },
  },
  examples: [
    ["micro render --out sheet", "sheet/sheet.png, and its captions in sheet/captions.json"],
    ["micro render --out sheet --count 6 --size 128 --seed 7", ""],
    [
      "micro limits pretrained/micro",
      "writes judges/limits.json of a folder of trained models, as `pretrain micro` does at its end",
    ],
  ],
  async run({ out, count, first, size, split, seed }, { positional, signal }) {
    const [action, folder, ...more] = positional;
    if (action === "limits" && folder !== undefined && more.length === 0)
      return writeLimitsOf(folder, signal);
    if (action !== "render" || folder !== undefined)
      throw new SrpoError(
        "ERR_CONFIG",
        `micro: expected "render" or "limits FOLDER", got ${positional.length === 0 ? "nothing" : positional.join(" ")}`,
      );
    if (out === undefined)
      throw new SrpoError("ERR_CONFIG", "out: expected a folder to write to, got none");
    try {
      mkdirSync(out, { recursive: true });
    } catch (error) {
      throw new SrpoError(
        "ERR_CONFIG",
        `out: expected a folder to write to, got ${codeOf(error) ?? String(error)} at ${out}`,
        { cause: error },
      );
    }
    const scenes = scenesOf(split, first, count, { seed: BigInt(seed) });
    const { picture, columns } = await contactSheet(scenes, Number(size));
    const sheet = path.join(out, "sheet.png");
    const captions = path.join(out, "captions.json");
    const about = { seed, split, size: Number(size), rows: styles, columns };
    writeFileSync(sheet, encodePng(picture, { Software: "srpo-native", seed, split }));
    writeFileSync(captions, `${JSON.stringify(about, null, 2)}\n`);
    process.stdout.write(`${sheet}\n${captions}\n`);
    return 0;
  },
});
