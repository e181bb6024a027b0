import { existsSync } from "node:fs";
import path from "node:path";
import { saveFolder } from "../../checkpoint/folder.js";
import type { Autoencoder } from "../../models/autoencoder/model.js";
import { openAutoencoder } from "../../models/open.js";
import { ClipTokenizer, T5Tokenizer } from "../../text/index.js";
import { captionTokens } from "../captions.js";
import { Progress } from "../../train/progress.js";
import type { Split } from "../scenes.js";
import { styles } from "../styles.js";
import type { JudgeKind } from "../judges/config.js";
import { Judge, type Judges } from "../judges/judge.js";
import { measureLimits, type Limits } from "../evaluation/limits.js";
import { reconstructHalf } from "./autoencoder.js";
import { LatentPool } from "./latents.js";
import { modelOf } from "./loop.js";
import { PolicyStage } from "./policy.js";
import { PicturePool } from "./pool.js";
import type { PretrainSettings, StageName } from "./settings.js";
import { learnVocabularies, writeVocabularies } from "./vocabulary.js";

/** Where a stage's training lives: a folder of the pretraining's. */
export function folderOf(place: string, stage: StageName): string {
  return path.join(place, stage);
}

/** What stages are made from: settings, pictures, and what the stages before them gave. */
export class Materials {
  constructor(
    readonly settings: PretrainSettings,
    /** The pretraining's folder. */
    readonly place: string,
    readonly signal: AbortSignal,
    readonly out?: NodeJS.WriteStream,
  ) {}

  /** What a finished stage gave. */
  given(stage: StageName): string {
    return modelOf(folderOf(this.place, stage));
  }

  progress(unit: string, total: number): Progress {
    return new Progress({ unit, total, ...(this.out === undefined ? {} : { out: this.out }) });
  }

  /** Scenes 0 to count - 1 of a split in all styles. */
  async pictures(split: Split, count: number): Promise<PicturePool> {
    const progress = this.progress(`pictures drawn (${split})`, count * styles.length);
    const pool = await PicturePool.draw(split, count, {
      signal: this.signal,
      onDrawn: (done) => progress.update(done),
    });
    progress.end();
    return pool;
  }

  /** The same, half of them as the autoencoder decodes them: rewards and judges see decoded pictures. */
  async mixedPictures(split: Split, count: number): Promise<PicturePool> {
    const pool = await this.pictures(split, count);
    const model = await this.autoencoder();
    const progress = this.progress(`pictures reconstructed (${split})`, pool.size / 2);
    try {
      await reconstructHalf(pool, model, {
        signal: this.signal,
        onDone: (done) => progress.update(done),
      });
    } finally {
      progress.end();
      model.dispose();
    }
    return pool;
  }

  /** The folder of tokenizer/ and tokenizer_2/; written at first use. */
  async vocabularies(): Promise<string> {
    const folder = path.join(this.place, "vocabulary");
    if (!existsSync(path.join(folder, "manifest.json")))
      await saveFolder(folder, (writer) => writeVocabularies(writer, learnVocabularies()));
    return folder;
  }

  /** The tokenizer of a CLIP text tower: the policy's, or the reward's (`open_clip`, which pads with 0). */
  async clipTokenizer(variant: "hf" | "open_clip"): Promise<ClipTokenizer> {
    const folder = path.join(await this.vocabularies(), "tokenizer");
    return ClipTokenizer.load(folder, { variant, maxLength: captionTokens });
  }

  async t5Tokenizer(): Promise<T5Tokenizer> {
    const folder = path.join(await this.vocabularies(), "tokenizer_2");
    return T5Tokenizer.load(folder, { maxLength: captionTokens });
  }

  /** What the policy is trained with. */
  async policy(): Promise<PolicyStage> {
    const clipTokenizer = await this.clipTokenizer("hf");
    const t5Tokenizer = await this.t5Tokenizer();
    const autoencoder = await this.autoencoder();
    const { policy: count } = this.settings.scenes;
    const progress = this.progress("pictures encoded (training)", count * styles.length);
    const training = await LatentPool.encode(autoencoder, "training", count, {
      signal: this.signal,
      onDrawn: (done) => progress.update(done),
    });
    progress.end();
    return new PolicyStage(this.settings, {
      training,
      autoencoder,
      judges: await this.judges(),
      clipTokenizer,
      t5Tokenizer,
    });
  }

  /** What held-out pictures are like: the limits that judged ones are held to. */
  async limits(): Promise<Limits> {
    const { validation: scenes } = this.settings.scenes;
    const [autoencoder, judges] = [await this.autoencoder(), await this.judges()];
    const progress = this.progress("pictures judged (validation)", scenes * styles.length);
    try {
      return await measureLimits(
        { autoencoder, judges },
        { scenes, signal: this.signal, onDone: (done) => progress.update(done) },
      );
    } finally {
      progress.end();
      for (const part of [autoencoder, judges.style, judges.attributes]) part.dispose();
    }
  }

  /** The trained judges. */
  async judges(): Promise<Judges> {
    const judge = (kind: JudgeKind) =>
      Judge.open(modelOf(path.join(folderOf(this.place, "judges"), kind)));
    return { style: await judge("style"), attributes: await judge("attributes") };
  }

  /** The trained autoencoder, frozen. */
  autoencoder(): Promise<Autoencoder> {
    const { dtype } = this.settings.autoencoder;
    return openAutoencoder(path.join(this.given("autoencoder"), "vae"), { dtype });
  }
}
