// Cached text embeddings: what `preprocess` writes and `train` reads instead of the text encoders.
//
//   FOLDER/index.json                     how many, of what size, from which prompts
//   FOLDER/prompts.txt                    one a line, in order
//   FOLDER/embeddings-00001.safetensors   txt [n, Lt, Dt] and pooled [n, Dp] of `perFile` prompts each
import { existsSync } from "node:fs";
import path from "node:path";
import { SafetensorsFile } from "../checkpoint/safetensors.js";
import { refuseAll } from "../checkpoint/store_set.js";
import { isObject, readJson, type Json } from "../checkpoint/strict_json.js";
import { SrpoError } from "../native/error.js";
import type { Device } from "../tensor/device.js";
import { empty, type Tensor } from "../tensor/tensor.js";
import { readPrompts } from "../text/prompts.js";

export interface EmbeddingIndex {
  format: "srpo-native embeddings 1";
  prompts: number;
  perFile: number;
  /** Tokens and channels of txt, channels of pooled. */
  textLength: number;
  textWidth: number;
  pooledWidth: number;
  dtype: "float32" | "bfloat16";
}

export const embeddingFormat = "srpo-native embeddings 1";

export function embeddingFile(number: number): string {
  return `embeddings-${String(number + 1).padStart(5, "0")}.safetensors`;
}

const sizes = ["prompts", "perFile", "textLength", "textWidth", "pooledWidth"] as const;

function checkedIndex(file: string, json: Json): EmbeddingIndex {
  const problems: string[] = [];
  const { format, dtype, ...rest } = isObject(json) ? json : {};
  if (format !== embeddingFormat)
    problems.push(`format: expected ${embeddingFormat}, got ${JSON.stringify(format)}`);
  if (dtype !== "float32" && dtype !== "bfloat16")
    problems.push(`dtype: expected float32 or bfloat16, got ${JSON.stringify(dtype)}`);
  for (const name of sizes) {
    const size = rest[name];
    if (typeof size !== "number" || !Number.isSafeInteger(size) || size < 1)
      problems.push(`${name}: expected a whole number, 1 or more, got ${JSON.stringify(size)}`);
  }
  refuseAll(file, problems);
  return json as unknown as EmbeddingIndex;
}

/** A folder of cached embeddings, opened and checked. */
export class EmbeddingFolder implements Disposable {
  private constructor(
    readonly folder: string,
    readonly index: EmbeddingIndex,
    readonly prompts: readonly string[],
    readonly files: readonly SafetensorsFile[],
  ) {}

  /**
   * @throws SrpoError ERR_CHECKPOINT for a folder that `preprocess` did not finish, or files that do not
   *   agree with its index
   */
  static async open(folder: string): Promise<EmbeddingFolder> {
    const file = path.join(folder, "index.json");
    const refuse = (expected: string, got: string): never => {
      throw new SrpoError("ERR_CHECKPOINT", `${file}: expected ${expected}, got ${got}`);
    };
    if (!existsSync(file)) refuse('a folder that "srpo-native preprocess" wrote', "no index.json");
    const index = checkedIndex(file, readJson(file));
    const prompts = await readPrompts(path.join(folder, "prompts.txt"));
    if (prompts.length !== index.prompts) refuse(`${prompts.length} prompts`, `${index.prompts}`);
    const files: SafetensorsFile[] = [];
    try {
      for (let start = 0; start < index.prompts; start += index.perFile) {
        const name = path.join(folder, embeddingFile(files.length));
        const store = SafetensorsFile.open(name);
        files.push(store);
        const rows = Math.min(index.perFile, index.prompts - start);
        const wanted = {
          txt: [rows, index.textLength, index.textWidth],
          pooled: [rows, index.pooledWidth],
        };
        for (const [tensor, shape] of Object.entries(wanted)) {
          const found = store.has(tensor) ? store.shape(tensor).join(", ") : "none";
          if (found !== shape.join(", "))
            throw new SrpoError(
              "ERR_CHECKPOINT",
              `${name}: ${tensor}: expected [${shape.join(", ")}], got [${found}]`,
            );
        }
      }
    } catch (error) {
      for (const store of files) store.close();
      throw error;
    }
    return new EmbeddingFolder(folder, index, prompts, files);
  }

  /** The embeddings of these prompts, by place in the list. */
  async read(
    places: readonly number[],
    options: { dtype: "float32" | "bfloat16"; device: Device },
  ): Promise<{ txt: Tensor; pooled: Tensor }> {
    const { textLength, textWidth, pooledWidth, perFile } = this.index;
    const txt = empty([places.length, textLength, textWidth], options);
    const pooled = empty([places.length, pooledWidth], options);
    for (const [i, place] of places.entries()) {
      const store = this.files[Math.floor(place / perFile)]!;
      const part = { fromRow: place % perFile, rows: 1 };
      await store.readInto(
        "txt",
        txt.viewOf(i * textLength * textWidth, [1, textLength, textWidth]),
        part,
      );
      await store.readInto("pooled", pooled.viewOf(i * pooledWidth, [1, pooledWidth]), part);
    }
    return { txt, pooled };
  }

  [Symbol.dispose](): void {
    for (const store of this.files) store.close();
  }
}
