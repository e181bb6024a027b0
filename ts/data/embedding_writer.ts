// Writes what `EmbeddingFolder` reads: file by file, prompt by prompt, in the memory of a few prompts.
//
// A prompt of FLUX.1-dev is 4.2 MB (512 x 4096 bf16), ten thousand are 42 GB. Files are written to OUT.part, each
// whole or not at all; killed at any instant, the same call goes on after the last whole one. Only when all are
// there does OUT come to be.
import { createHash } from "node:crypto";
import { existsSync, readdirSync } from "node:fs";
import * as fs from "node:fs/promises";
import path from "node:path";
import { makeFolder, replaceFile } from "../checkpoint/durable.js";
import { saveFolder } from "../checkpoint/folder.js";
import { isObject, readJson } from "../checkpoint/strict_json.js";
import { streamSafetensors } from "../checkpoint/write.js";
import { SrpoError } from "../native/error.js";
import { embeddingFile, embeddingFormat, type EmbeddingIndex } from "./embeddings.js";

/** Everything that two calls must agree in for the second to go on with the first one's files. */
export interface EmbeddingJob extends Omit<EmbeddingIndex, "format" | "prompts"> {
  prompts: readonly string[];
  /** Whose text encoders. */
  model: string;
  /** Prompts a forward, which the last bits depend on. */
  batch: number;
}

/** Some prompts' embeddings, in order: bytes as they shall stand in the file. */
export interface EmbeddingRows {
  txt: Uint8Array;
  pooled: Uint8Array;
}

const jobFile = "job.json";

function recordOf({ prompts, ...job }: EmbeddingJob) {
  const sha256 = createHash("sha256").update(prompts.join("\n")).digest("hex");
  return { format: embeddingFormat, prompts: prompts.length, promptsSha256: sha256, ...job };
}

export class EmbeddingWriter {
  /** Where the files are until all of them are there. */
  readonly part: string;

  private constructor(
    readonly out: string,
    readonly job: EmbeddingJob,
  ) {
    this.part = `${path.resolve(out)}.part`;
  }

  /** @throws SrpoError ERR_CONFIG for a place with files */
  static requireRoom(out: string): void {
    if (existsSync(out) && readdirSync(out).length > 0)
      throw new SrpoError(
        "ERR_CONFIG",
        `out: expected a new or empty folder, got ${out} with files`,
      );
  }

  /**
   * Begins, or goes on with what an earlier call of the same job has left.
   *
   * @throws SrpoError ERR_CONFIG for a place with files, or what another job has left
   */
  static async open(out: string, job: EmbeddingJob): Promise<EmbeddingWriter> {
    EmbeddingWriter.requireRoom(out);
    const writer = new EmbeddingWriter(out, job);
    const record = recordOf(job);
    const file = path.join(writer.part, jobFile);
    if (existsSync(file)) {
      const found = readJson(file);
      const other = Object.entries(record).filter(
        ([name, value]) => !isObject(found) || found[name] !== value,
      );
      if (other.length > 0)
        throw new SrpoError(
          "ERR_CONFIG",
          `out: expected ${writer.part} to be of the same job, got another ${other.map(([name]) => name).join(", ")}; ` +
            "remove it to begin anew, or name another --out",
        );
      return writer;
    }
    await makeFolder(writer.part);
    const text = Buffer.from(`${JSON.stringify(record, null, 2)}\n`);
    await replaceFile(file, (sink) => sink.write(text));
    return writer;
  }

  /** Files that the prompts make. */
  get files(): number {
    return Math.ceil(this.job.prompts.length / this.job.perFile);
  }

  /** Where the prompts of a file begin, and where they end. */
  range(file: number): [start: number, end: number] {
    const { perFile, prompts } = this.job;
    return [file * perFile, Math.min((file + 1) * perFile, prompts.length)];
  }

  /** Whether a file is there, whole: it is renamed to its name when it is. */
  has(file: number): boolean {
    return existsSync(path.join(this.part, embeddingFile(file)));
  }

  /** Prompts of the files that are there. */
  get done(): number {
    const sizes = Array.from({ length: this.files }, (_, file) => {
      const [start, end] = this.range(file);
      return this.has(file) ? end - start : 0;
    });
    return sizes.reduce((sum, size) => sum + size, 0);
  }

  /**
   * Writes one file from rows as they come.
   *
   * @throws SrpoError ERR_CHECKPOINT if they are more or fewer than the file's prompts, or the disk is full
   */
  async write(file: number, rows: AsyncIterable<EmbeddingRows>): Promise<void> {
    const { textLength, textWidth, pooledWidth, dtype: inMemory } = this.job;
    const dtype = inMemory === "bfloat16" ? "BF16" : "F32";
    const [start, end] = this.range(file);
    const pooled: Uint8Array[] = []; // a thousandth of txt, which stands before it
    const txt = async function* () {
      for await (const row of rows) {
        pooled.push(row.pooled);
        yield row.txt;
      }
    };
    const tensors = [
      { name: "txt", dtype, shape: [end - start, textLength, textWidth], chunks: txt },
      { name: "pooled", dtype, shape: [end - start, pooledWidth], chunks: () => pooled },
    ] as const;
    await replaceFile(path.join(this.part, embeddingFile(file)), (sink) =>
      streamSafetensors(sink, tensors),
    );
  }

  /** Makes the folder of all files, and removes what they were made in. */
  async finish(): Promise<void> {
    const { prompts, perFile, textLength, textWidth, pooledWidth, dtype } = this.job;
    await saveFolder(this.out, async (folder) => {
      for (let file = 0; file < this.files; ++file)
        await folder.link(embeddingFile(file), path.join(this.part, embeddingFile(file)));
      await folder.bytes("prompts.txt", `${prompts.join("\n")}\n`);
      const index: EmbeddingIndex = {
        format: embeddingFormat,
        prompts: prompts.length,
        perFile,
        textLength,
        textWidth,
        pooledWidth,
        dtype,
      };
      await folder.json("index.json", index);
    });
    await fs.rm(this.part, { recursive: true, force: true });
  }
}
