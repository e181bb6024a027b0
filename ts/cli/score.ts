import { existsSync } from "node:fs";
import { noGrad } from "../autograd/tape.js";
import type { Picture } from "../data/png.js";
import { listScored, type ScoredImage } from "../data/scored_images.js";
import { native } from "../native/binding.js";
import { SrpoError } from "../native/error.js";
import { concat } from "../ops/index.js";
import { openReward } from "../rewards/open_reward.js";
import {
  preprocessForms,
  scoreNames,
  scorerOf,
  usualName,
  type ScoreName,
  type Scorer,
} from "../rewards/scorer.js";
import { textTable } from "../report/table.js";
import { tensorScope } from "../tensor/scope.js";
import { readPrompts } from "../text/prompts.js";
import { deviceOption } from "../train/config.js";
import { Progress } from "../train/progress.js";
import { requireDevice } from "../train/setup.js";
import { command } from "./command.js";
import { threads } from "./threads.js";
import { interruptedCode } from "./interrupt.js";

/** `NAME=PATH`, or a path whose name follows from what is there. */
function readReward(text: string): { name: ScoreName | undefined; place: string } {
  const [, said, rest] = /^([a-z]+)=(.+)$/.exec(text) ?? [];
  const name = scoreNames.find((known) => known === said);
  const place = rest ?? text;
  if (said !== undefined && name === undefined)
    throw new SrpoError(
      "ERR_CONFIG",
      `reward: expected PATH or NAME=PATH with NAME of ${scoreNames.join(", ")}, got ${text}`,
    );
  if (!existsSync(place))
    throw new SrpoError("ERR_CONFIG", `reward: expected a file or a folder, got none at ${place}`);
  return { name, place };
}

interface Scored extends Omit<ScoredImage, "read"> {
  scores: Record<string, number>;
}

/** A batch through every scorer. */
async function scoreBatch(
  scorers: readonly Scorer[],
  images: readonly ScoredImage[],
): Promise<Scored[]> {
  const pictures: Picture[] = [];
  for (const image of images) pictures.push(await image.read());
  const rows = images.map(({ name, group, prompt }): Scored => {
    return { name, ...(group !== undefined && { group }), prompt, scores: {} };
  });
  const prompts = images.map(({ prompt }) => prompt);
  for (const scorer of scorers) {
    using scope = tensorScope();
    void scope;
    const pixels = noGrad(() =>
      concat(
        pictures.map((picture) => scorer.pixels(picture)),
        0,
      ),
    );
    const columns = await noGrad(() => scorer.score(pixels, prompts));
    for (const [c, name] of scorer.columns.entries())
      rows.forEach((row, i) => (row.scores[name] = columns[c]![i]!));
  }
  return rows;
}

function means(rows: readonly Scored[], columns: readonly string[]): Record<string, number> {
  const mean = (name: string) => rows.reduce((sum, { scores }) => sum + scores[name]!, 0);
  return Object.fromEntries(columns.map((name) => [name, mean(name) / rows.length]));
}

/** Rows that are averaged together, in order. */
function groupsOf(rows: readonly Scored[]): [group: string, rows: Scored[]][] {
  const groups = new Map<string, Scored[]>();
  for (const row of rows)
    if (row.group !== undefined) groups.set(row.group, [...(groups.get(row.group) ?? []), row]);
  return [...groups];
}

const longestPrompt = 60;

function table(rows: readonly Scored[], columns: readonly string[]): string {
  const line = (name: string, scores: Record<string, number>, prompt = "") => [
    name,
    ...columns.map((column) => scores[column]!.toFixed(4)),
    prompt.length > longestPrompt ? `${prompt.slice(0, longestPrompt - 3)}...` : prompt,
  ];
  const groups = groupsOf(rows).map(([name, some]) => line(`mean ${name}`, means(some, columns)));
  return textTable({
    columns: [
      { name: "picture" },
      ...columns.map((name) => ({ name, align: "right" as const })),
      { name: "prompt" },
    ],
    rows: [
      ...rows.map(({ name, scores, prompt }) => line(name, scores, prompt)),
      ...groups,
      line("mean", means(rows, columns)),
    ],
  });
}

export const scoreCommand = command({
  name: "score",
  positional: "PICTURES",
  summary: "pictures and prompts to HPSv2.1, SGP, PickScore, CLIP, Aesthetic and ImageReward",
  schema: {
    reward: {
      type: "texts",
      help: `reward files or folders, each maybe NAME=PATH with ${scoreNames.join(", ")}; without a name it is what the file holds, an OpenCLIP hps (with SGP), transformers' CLIP pickscore`,
    },
    prompts: {
      type: "text",
      help: "file of prompts, one a line, in the order of the pictures' names; default: NAME.txt beside each, or the PNG's own text",
    },
    preprocess: {
      type: "text",
      default: "official",
      choices: preprocessForms,
      help: "of CLIP's towers: each score's own (HPS pads, the others crop), crop (SRPO's, on floats), or pad",
    },
    vocabulary: { type: "text", help: "a CLIP tokenizer's folder, for rewards that bring none" },
    batch: {
      type: "number",
      integer: true,
      min: 1,
      max: 4096,
      default: 8,
      help: "pictures a forward; the numbers do not depend on it",
    },
    device: deviceOption,
    precision: {
      type: "text",
      default: "f32",
      choices: ["f32", "bf16"],
      help: "of weights and activations",
    },
    threads,
    json: { type: "boolean", default: false, help: "every score as JSON" },
  },
  stops: true,
  examples: [
    ["score samples --reward HPS_v2.1_compressed.pt,pickscore --vocabulary flux/tokenizer", ""],
    [
      "score runs/first --reward micro/reward --vocabulary micro/tokenizer",
      "every sample grid of a run",
    ],
  ],
  async run(o, { positional, signal }) {
    const [place, ...more] = positional;
    if (place === undefined || more.length > 0)
      throw new SrpoError(
        "ERR_CONFIG",
        `score: expected one folder of pictures, a run or a picture, got ${positional.length}`,
      );
    if (o.reward === undefined)
      throw new SrpoError("ERR_CONFIG", "reward: expected one or more, got none");
    const wanted = o.reward.map(readReward);
    const prompts = o.prompts === undefined ? undefined : await readPrompts(o.prompts);
    const images = listScored(place, prompts);
    const device = requireDevice(o.device);
    native.cpuSetThreads(o.threads);
    const dtype = o.precision === "bf16" ? "bfloat16" : "float32";

    const scorers: (Scorer & { place: string })[] = [];
    for (const { name, place: at } of wanted) {
      const { vocabulary } = o;
      const reward = await openReward(at, {
        dtype,
        device,
        ...(vocabulary !== undefined && { vocabulary }),
      });
      const { preprocess } = o;
      const scorer = scorerOf(reward, name ?? usualName(reward), { preprocess, device });
      scorers.push({ ...scorer, place: at });
    }
    const columns = scorers.flatMap((scorer) => scorer.columns);
    const twice = columns.find((name, i) => columns.indexOf(name) !== i);
    if (twice !== undefined)
      throw new SrpoError("ERR_CONFIG", `reward: expected one for ${twice}, got two`);

    const progress = new Progress({ unit: "pictures", total: images.length });
    const rows: Scored[] = [];
    for (let start = 0; start < images.length && !signal.aborted; start += o.batch) {
      rows.push(...(await scoreBatch(scorers, images.slice(start, start + o.batch))));
      progress.update(rows.length);
    }
    progress.end();
    if (signal.aborted) return interruptedCode(signal);
    const report = {
      preprocess: o.preprocess,
      rewards: scorers.map((scorer) => ({ path: scorer.place, columns: scorer.columns })),
      pictures: rows,
      groups: groupsOf(rows).map(([name, some]) => ({ name, mean: means(some, columns) })),
      mean: means(rows, columns),
    };
    process.stdout.write(o.json ? `${JSON.stringify(report)}\n` : `${table(rows, columns)}\n`);
    return 0;
  },
});
