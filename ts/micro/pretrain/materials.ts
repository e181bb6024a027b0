import path from "node:path";
import type { Autoencoder } from "../../models/autoencoder/model.js";
import { openAutoencoder } from "../../models/open.js";
import { Progress } from "../../train/progress.js";
import type { Split } from "../scenes.js";
import { reconstructHalf } from "./autoencoder.js";
import { modelOf } from "./loop.js";
import { PicturePool } from "./pool.js";
import type { PretrainSettings, StageName } from "./settings.js";

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
    let progress: Progress | undefined;
    const pool = await PicturePool.draw(split, count, {
      signal: this.signal,
      onDrawn: (done, total) => {
        progress ??= this.progress(`pictures drawn (${split})`, total);
        progress.update(done);
      },
    });
    progress?.end();
    return pool;
  }

  /** The same, half of them as the autoencoder decodes them: rewards and judges see decoded pictures. */
  async mixedPictures(split: Split, count: number): Promise<PicturePool> {
    const pool = await this.pictures(split, count);
    const model = await this.autoencoder();
    let progress: Progress | undefined;
    try {
      await reconstructHalf(pool, model, {
        signal: this.signal,
        onDone: (done, total) => {
          progress ??= this.progress(`pictures reconstructed (${split})`, total);
          progress.update(done);
        },
      });
    } finally {
      progress?.end();
      model.dispose();
    }
    return pool;
  }

  /** The trained autoencoder, frozen. */
  autoencoder(): Promise<Autoencoder> {
    const { dtype } = this.settings.autoencoder;
    return openAutoencoder(path.join(this.given("autoencoder"), "vae"), { dtype });
  }
}
