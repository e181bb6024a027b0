// Checkpoints written while training goes on: at most one at a time, by all ranks, put in place by the first.
import { PendingFolder, type Manifest } from "../checkpoint/folder.js";
import { FolderWriter } from "../checkpoint/folder_writer.js";
import { SrpoError, codeOf } from "../native/error.js";
import type { Ranks } from "./ranks.js";

/** How far a rank is with its files. */
type Progress =
  | { state: "writing" }
  | { state: "written"; files: Manifest }
  | { state: "failed"; code: string; message: string };

interface Save {
  /** On the first rank. */
  pending: PendingFolder | undefined;
  progress: Progress;
  /** Resolves when this rank's files are written, or cannot be. */
  ended: Promise<void>;
  /** On the first rank, once the folder is in place. */
  after: () => Promise<void>;
}

export class Saver {
  #save: Save | undefined;

  constructor(readonly ranks: Ranks) {}

  /**
   * Begins to write a checkpoint, in place of one that is there; waits for an earlier one first.
   *
   * @param hold - takes what is to be written out of the device's memory; training goes on after it
   * @param after - on the first rank, once the checkpoint is complete
   * @throws SrpoError what went wrong with the earlier one, or with taking it
   */
  async save(
    place: string,
    hold: () => Promise<(folder: FolderWriter) => Promise<void>>,
    after: () => Promise<void>,
  ): Promise<void> {
    await this.finish();
    const { ranks } = this;
    let pending: PendingFolder | undefined;
    const temporary = await ranks.first(async () => {
      pending = await PendingFolder.begin(place, { replace: true });
      return pending.temporary;
    });
    let write: ((folder: FolderWriter) => Promise<void>) | undefined;
    try {
      await ranks.all(async () => {
        write = await hold();
      });
    } catch (error) {
      await pending?.abort();
      throw error;
    }
    const save: Save = { pending, progress: { state: "writing" }, ended: Promise.resolve(), after };
    save.ended = this.#write(save, temporary, write!);
    this.#save = save;
  }

  async #write(
    save: Save,
    temporary: string,
    write: (folder: FolderWriter) => Promise<void>,
  ): Promise<void> {
    try {
      const folder = new FolderWriter(temporary);
      await write(folder);
      await folder.sync();
      // Alone there is nobody to wait for.
      if (this.ranks.size === 1) await this.#commit(save, folder.files);
      save.progress = { state: "written", files: folder.files };
    } catch (error) {
      const clear = save.pending?.errorOf(error) ?? error;
      const message = clear instanceof Error ? clear.message : String(clear);
      save.progress = { state: "failed", code: codeOf(clear) ?? "ERR_CHECKPOINT", message };
      if (this.ranks.size === 1) await save.pending?.abort();
    }
  }

  async #commit({ pending, after }: Save, files: Manifest): Promise<void> {
    await pending!.commit(files);
    await after();
  }

  /**
   * Between two updates, by all ranks: puts a checkpoint in place that all have written by now.
   *
   * @throws SrpoError of the rank that could not write its files; nothing of the checkpoint stays then
   */
  async settle(): Promise<void> {
    const save = this.#save;
    if (save === undefined) return;
    const all = await this.ranks.gather(save.progress);
    const failed = all.findIndex(({ state }) => state === "failed");
    if (failed >= 0) {
      this.#save = undefined;
      // Whoever still writes would put files where they are being removed.
      await this.ranks.all(() => save.ended);
      // All wait until nothing of it is left: the first to leave takes the others with it.
      await this.ranks.all(async () => save.pending?.abort());
      const { code, message } = all[failed] as Extract<Progress, { state: "failed" }>;
      throw new SrpoError(code, this.ranks.size === 1 ? message : `rank ${failed}: ${message}`);
    }
    const files = all.flatMap((one) => (one.state === "written" ? [one.files] : []));
    if (files.length < all.length) return;
    this.#save = undefined;
    if (this.ranks.size > 1)
      await this.ranks.first(() => this.#commit(save, new Map(files.flatMap((some) => [...some]))));
  }

  /** The same, of a checkpoint that is waited for. */
  async finish(): Promise<void> {
    await this.#save?.ended;
    await this.settle();
  }

  /** Where others may be gone: no more than that nothing of ours is being written. */
  async leave(): Promise<void> {
    if (this.ranks.size === 1) await this.finish();
    else await this.#save?.ended;
  }
}
