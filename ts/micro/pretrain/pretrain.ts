// The pretraining of the micro models: stages in order, each resumable, then one folder of them all.
//
//   DIR/pretrain.json          seed, effort, version: what fixes every bit of the result
//   DIR/<stage>/               metrics.jsonl, TensorBoard events, samples/, checkpoints/, at the end model/
//   DIR/micro/                 the whole in the public layouts, once all stages are done
import { existsSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { readJson } from "../../checkpoint/strict_json.js";
import { codeOf, SrpoError } from "../../native/error.js";
import { packageVersion } from "../../native/load.js";
import { commitOf } from "../../native/commit.js";
import { assemble, type Provenance } from "./assemble.js";
import { AutoencoderStage } from "./autoencoder.js";
import { JudgeStage } from "./judges.js";
import { isDone, Loop } from "./loop.js";
import { folderOf, Materials } from "./materials.js";
import { pretrainSettings, stageNames, type PretrainSettings, type StageName } from "./settings.js";
import { RewardStage } from "./reward.js";
import type { Stage } from "./stage.js";

export interface PretrainRun {
  /** The folder that everything goes to. */
  place: string;
  stages: readonly StageName[];
  /** Whether stages that were begun go on, and those that are done are passed over. */
  resume: boolean;
  /** Undefined: as the folder says, or the default. */
  seed?: string | undefined;
  effort?: number | undefined;
  signal: AbortSignal;
  out?: NodeJS.WriteStream;
  /** For tests: what the settings become. */
  change?: (settings: PretrainSettings) => PretrainSettings;
}

export interface PretrainEnd {
  interrupted: boolean;
  /** The folder of all models, once all stages are done. */
  folder: string | undefined;
}

/** One training of a stage: its folder within the stage's, and how it is made. */
interface Part {
  inside: string;
  make: (materials: Materials) => Promise<Stage>;
}

const parts: Readonly<Record<StageName, readonly Part[]>> = {
  autoencoder: [
    {
      inside: "",
      make: async (m) =>
        new AutoencoderStage(
          m.settings,
          await m.pictures("training", m.settings.scenes.training),
          await m.pictures("validation", m.settings.scenes.validation),
        ),
    },
  ],
  reward: [
    {
      inside: "",
      make: async (m) =>
        new RewardStage(m.settings, {
          training: await m.mixedPictures("training", m.settings.scenes.training),
          validation: await m.mixedPictures("validation", m.settings.scenes.validation),
          tokenizer: await m.clipTokenizer("open_clip"),
        }),
    },
  ],
  judges: (["style", "attributes"] as const).map((kind) => ({
    inside: kind,
    make: async (m) =>
      new JudgeStage(
        kind,
        m.settings,
        await m.mixedPictures("judging", m.settings.scenes.judging),
        await m.mixedPictures("validation", m.settings.scenes.validation),
      ),
  })),
  policy: [{ inside: "", make: (m) => m.policy() }],
};

/** Which stages' models a stage is made from. */
const needs: Readonly<Record<StageName, readonly StageName[]>> = {
  autoencoder: [],
  reward: ["autoencoder"],
  judges: ["autoencoder"],
  policy: ["autoencoder", "judges"],
};

/** Reads or makes pretrain.json. */
function recordOf({ place, seed, effort, resume }: PretrainRun): Provenance {
  const file = path.join(place, "pretrain.json");
  if (existsSync(file)) {
    const record = readJson(file) as unknown as Provenance;
    for (const [name, asked] of Object.entries({ seed, effort }))
      if (asked !== undefined && asked !== record[name as "seed" | "effort"])
        throw new SrpoError(
          "ERR_CONFIG",
          `${name}: expected ${record[name as "seed" | "effort"]}, as ${place} was begun with, got ${asked}`,
        );
    return record;
  }
  const record = {
    seed: seed ?? "0",
    effort: effort ?? 1,
    version: packageVersion,
    commit: commitOf(),
  };
  try {
    mkdirSync(place, { recursive: true });
    if (!resume && readdirSync(place).length > 0)
      throw new SrpoError(
        "ERR_CONFIG",
        `out: expected a new or empty folder, or one of a pretraining, got ${place} with other files in it`,
      );
    writeFileSync(file, `${JSON.stringify(record, null, 2)}\n`);
  } catch (error) {
    if (error instanceof SrpoError) throw error;
    throw new SrpoError(
      "ERR_CONFIG",
      `out: expected a folder to write to at ${place}, got ${codeOf(error) ?? String(error)}`,
      { cause: error },
    );
  }
  return record;
}

const trainingFolder = (place: string, stage: StageName, { inside }: Part) =>
  path.join(folderOf(place, stage), inside);

const stageDone = (place: string, stage: StageName) =>
  parts[stage].length > 0 &&
  parts[stage].every((part) => isDone(trainingFolder(place, stage, part)));

/** Refuses what cannot be trained before anything is drawn. */
function requireOrder({ place, stages, resume }: PretrainRun): void {
  const wanted = new Set(stages);
  for (const stage of stages) {
    if (!resume && existsSync(folderOf(place, stage)))
      throw new SrpoError(
        "ERR_CONFIG",
        `stage: expected one that was not begun, got ${stage}; go on by --resume, or remove ${folderOf(place, stage)}`,
      );
    const missing = needs[stage].filter(
      (before) => !wanted.has(before) && !stageDone(place, before),
    );
    if (missing.length > 0)
      throw new SrpoError(
        "ERR_CONFIG",
        `stage: ${stage}: expected ${missing.join(", ")} trained before it in ${place}, got none; ` +
          `"srpo-native pretrain micro --stage ${missing[0]} --out ${place}" does that`,
      );
  }
}

/**
 * Trains the stages, in the order in which they build on one another.
 *
 * @throws SrpoError ERR_CONFIG for a folder that is not this pretraining's or a stage out of order;
 *   ERR_CHECKPOINT for damaged files; ERR_NOT_FINITE if a loss explodes
 */
export async function pretrain(run: PretrainRun): Promise<PretrainEnd> {
  const { place, signal, out } = run;
  requireOrder(run);
  const record = recordOf(run);
  const base = pretrainSettings({ seed: BigInt(record.seed), effort: record.effort });
  const settings = run.change?.(base) ?? base;
  const materials = new Materials(settings, place, signal, out);
  for (const stage of stageNames) {
    if (!run.stages.includes(stage)) continue;
    for (const part of parts[stage]) {
      const folder = trainingFolder(place, stage, part);
      if (isDone(folder)) continue;
      if (await interruptedIn(folder, () => part.make(materials), run))
        return { interrupted: true, folder: undefined };
    }
  }
  if (!stageNames.every((stage) => stageDone(place, stage)))
    return { interrupted: false, folder: undefined };
  const folder = path.join(place, "micro");
  const given = stageNames.flatMap((stage) =>
    parts[stage].map((part) => ({
      name: path.posix.join(stage, part.inside),
      folder: trainingFolder(place, stage, part),
      into: part.inside === "" ? "" : path.posix.join(stage, part.inside),
    })),
  );
  const vocabulary = await materials.vocabularies();
  try {
    const limits = await materials.limits();
    await assemble(folder, { given, vocabulary, limits, provenance: record });
  } catch (error) {
    if (signal.aborted && error === signal.reason) return { interrupted: true, folder: undefined };
    throw error;
  }
  return { interrupted: false, folder };
}

/** Whether the signal ended it; a signal while pictures are drawn leaves what was there. */
async function interruptedIn(
  folder: string,
  make: () => Promise<Stage>,
  { signal, out }: PretrainRun,
): Promise<boolean> {
  let stage: Stage | undefined;
  try {
    stage = await make();
    const loop = await Loop.create(stage, { folder, signal, ...(out && { out }) });
    try {
      return (await loop.run()).interrupted;
    } finally {
      loop.dispose();
    }
  } catch (error) {
    if (signal.aborted && error === signal.reason) return true;
    throw error;
  } finally {
    stage?.dispose();
  }
}
