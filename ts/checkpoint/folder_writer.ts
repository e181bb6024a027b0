import * as fs from "node:fs/promises";
import path from "node:path";
import { codeOf, SrpoError } from "../native/error.js";
import {
  syncFolder,
  writeError,
  writeNewFile,
  type ByteSink,
  type WrittenFile,
} from "./durable.js";
import { Hasher } from "./hasher.js";
import { bytesToWrite, streamSafetensors, type TensorToWrite } from "./write.js";

export interface ShardOptions {
  /** A file that would be larger is split, between tensors. Default 5e9, as diffusers and transformers do. */
  maxShardBytes?: number;
  metadata?: Readonly<Record<string, string>>;
}

function readError(file: string, error: unknown): SrpoError {
  const got = error instanceof Error ? error.message : String(error);
  return new SrpoError(
    "ERR_CHECKPOINT",
    `${file}: read: expected a readable file, got ${got.split(",")[0]}`,
    { cause: error },
  );
}

/** Hands a file over in chunks. */
async function readAll(file: string, take: (chunk: Buffer) => Promise<void> | void): Promise<void> {
  const handle = await fs.open(file).catch((error: unknown) => {
    throw readError(file, error);
  });
  try {
    const chunk = Buffer.alloc(1 << 20);
    while (true) {
      const { bytesRead } = await handle.read(chunk, 0, chunk.length).catch((error: unknown) => {
        throw readError(file, error);
      });
      if (bytesRead === 0) return;
      await take(chunk.subarray(0, bytesRead));
    }
  } finally {
    await handle.close();
  }
}

const hashes = new Map<string, WrittenFile>();

/** Size and hash of a file; read once a process, as long as it is the same file of the same time. */
async function knownHash(file: string): Promise<WrittenFile> {
  const { dev, ino, size, mtimeNs } = await fs.stat(file, { bigint: true });
  const key = [dev, ino, size, mtimeNs].join(" ");
  const known = hashes.get(key);
  if (known !== undefined) return known;
  const hasher = new Hasher();
  await readAll(file, (chunk) => hasher.update(chunk));
  const written = { bytes: Number(size), sha256: await hasher.digest() };
  hashes.set(key, written);
  return written;
}

/** Fills a folder that nobody reads yet; keeps size and hash of every file. Names use `/`. */
export class FolderWriter {
  /** Where the files go while they are written. */
  readonly path: string;
  readonly files = new Map<string, WrittenFile>();
  readonly #folders = new Set<string>();

  constructor(folder: string) {
    this.path = folder;
    this.#folders.add(folder);
  }

  async file(name: string, fill: (sink: ByteSink) => Promise<void>): Promise<void> {
    this.files.set(name, await writeNewFile(await this.#place(name), fill));
  }

  /** The path for a name, its folder made. */
  async #place(name: string): Promise<string> {
    const parts = name.split("/");
    if (parts.some((part) => part === "" || part === "." || part === ".."))
      throw new SrpoError("ERR_CHECKPOINT", `save: expected a name in the folder, got ${name}`);
    let folder = this.path;
    for (const part of parts.slice(0, -1)) {
      folder = path.join(folder, part);
      if (this.#folders.has(folder)) continue;
      await fs.mkdir(folder).catch((error: unknown) => {
        // Several processes may fill one folder.
        if (codeOf(error) !== "EEXIST") throw writeError(folder, error);
      });
      this.#folders.add(folder);
    }
    return path.join(this.path, name);
  }

  async bytes(name: string, content: Uint8Array | string): Promise<void> {
    const bytes = typeof content === "string" ? Buffer.from(content, "utf8") : content;
    await this.file(name, (sink) => sink.write(bytes));
  }

  async json(name: string, value: unknown): Promise<void> {
    await this.bytes(name, `${JSON.stringify(value, null, 2)}\n`);
  }

  /** A copy of a file from elsewhere. */
  async copy(name: string, from: string): Promise<void> {
    await this.file(name, (sink) => readAll(from, (chunk) => sink.write(chunk)));
  }

  /**
   * A file from elsewhere under a second name, without a second copy: for what is large and never written
   * in place. Copied where the file system has no hard links, or it is another one.
   */
  async link(name: string, from: string): Promise<void> {
    const target = await this.#place(name);
    const real = await fs.realpath(from).catch((error: unknown) => {
      throw readError(from, error);
    });
    try {
      await fs.link(real, target);
    } catch {
      await this.copy(name, real);
      return;
    }
    this.files.set(name, await knownHash(real));
  }

  async safetensors(
    name: string,
    tensors: readonly TensorToWrite[],
    metadata?: Readonly<Record<string, string>>,
  ): Promise<void> {
    await this.file(name, (sink) => streamSafetensors(sink, tensors, metadata));
  }

  /**
   * Tensors in one file `BASE.safetensors`, or, where that would be too large, in
   * `BASE-00001-of-0000N.safetensors` with `BASE.safetensors.index.json`, as diffusers and transformers
   * name them.
   */
  async sharded(
    base: string,
    tensors: readonly TensorToWrite[],
    { maxShardBytes = 5e9, metadata = {} }: ShardOptions = {},
  ): Promise<void> {
    const shards: TensorToWrite[][] = [[]];
    let filled = 0;
    let total = 0;
    for (const tensor of tensors) {
      const bytes = bytesToWrite(tensor);
      if (filled > 0 && filled + bytes > maxShardBytes) {
        shards.push([]);
        filled = 0;
      }
      shards.at(-1)!.push(tensor);
      filled += bytes;
      total += bytes;
    }
    if (shards.length === 1) {
      await this.safetensors(`${base}.safetensors`, tensors, metadata);
      return;
    }
    const weightMap = new Map<string, string>();
    const digits = (n: number) => String(n).padStart(5, "0");
    for (const [i, shard] of shards.entries()) {
      const name = `${base}-${digits(i + 1)}-of-${digits(shards.length)}.safetensors`;
      for (const tensor of shard) {
        if (weightMap.has(tensor.name))
          throw new SrpoError(
            "ERR_CHECKPOINT",
            `write: ${tensor.name}: expected each name once, got it twice`,
          );
        weightMap.set(tensor.name, path.posix.basename(name));
      }
      await this.safetensors(name, shard, metadata);
    }
    await this.json(`${base}.safetensors.index.json`, {
      metadata: { total_size: total },
      weight_map: Object.fromEntries(weightMap),
    });
  }

  /** Flushes the entries of every folder that was made. */
  async sync(): Promise<void> {
    for (const folder of this.#folders) await syncFolder(folder);
  }
}
