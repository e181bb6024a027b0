import { existsSync, readdirSync } from "node:fs";
import { saveFolder } from "../checkpoint/folder.js";
import type { TensorToWrite } from "../checkpoint/write.js";
import { embeddingFile, embeddingFormat, type EmbeddingIndex } from "../data/embeddings.js";
import { loadTextEncoders } from "../models/pipeline/load.js";
import type { TextEncoders } from "../models/pipeline/text_encoders.js";
import { SrpoError } from "../native/error.js";
import { tensorScope } from "../tensor/scope.js";
import { readPrompts, shippedPromptsFile } from "../text/prompts.js";
import { deviceOption } from "../train/config.js";
import { loading } from "../train/loading.js";
import { Progress } from "../train/progress.js";
import { requireDevice } from "../train/setup.js";
import { warnOfUnknownWords } from "./world_words.js";
import { command } from "./command.js";
import { interruptedCode } from "./interrupt.js";

interface Encoded {
  txt: Uint8Array[];
  pooled: Uint8Array[];
}

async function encode(encoders: TextEncoders, prompts: readonly string[]): Promise<Encoded> {
  using scope = tensorScope();
  void scope;
  const { txt, pooled } = encoders.encode(prompts);
  return {
    txt: [new Uint8Array(await txt.readBytes())],
    pooled: [new Uint8Array(await pooled.readBytes())],
  };
}

function entry(
  name: string,
  dtype: "F32" | "BF16",
  shape: number[],
  parts: Uint8Array[],
): TensorToWrite {
  return { name, dtype, shape, read: () => Buffer.concat(parts) };
}

export const preprocessCommand = command({
  name: "preprocess",
  summary: "prompts to cached text embeddings, so that training needs no text encoder",
  schema: {
    model: { type: "text", help: "FLUX folder with text encoders and tokenizers, or a file of it" },
    base: { type: "text", help: "FLUX folder that has what a file has not" },
    prompts: { type: "text", help: "file of prompts, one a line; default: the package's own list" },
    out: { type: "text", help: "new folder of embeddings" },
    device: deviceOption,
    precision: {
      type: "text",
      default: "bf16",
      choices: ["bf16", "f32"],
      help: "of encoders and files",
    },
    batch: {
      type: "number",
      integer: true,
      min: 1,
      max: 4096,
      default: 1,
      help: "prompts a forward; 1 gives the very bits that train makes without the cache",
    },
    perFile: { type: "number", integer: true, min: 1, default: 256, help: "prompts a file" },
  },
  stops: true,
  examples: [
    [
      "preprocess --model flux --prompts prompts.txt --out embeddings",
      "then train --embeddings embeddings",
    ],
  ],
  async run({ model, base, prompts: file, out, device, precision, batch, perFile }, { signal }) {
    if (model === undefined || out === undefined)
      throw new SrpoError("ERR_CONFIG", "preprocess: expected --model and --out, got not both");
    if (existsSync(out) && readdirSync(out).length > 0)
      throw new SrpoError(
        "ERR_CONFIG",
        `out: expected a new or empty folder, got ${out} with files`,
      );
    const prompts = await readPrompts(file ?? shippedPromptsFile);
    warnOfUnknownWords(model, prompts);
    const dtype = precision === "bf16" ? "bfloat16" : "float32";
    const onDisk = dtype === "bfloat16" ? "BF16" : "F32";
    const encoders = await loadTextEncoders(
      { model, base },
      { dtype, device: requireDevice(device), ...loading("text encoders") },
    );
    const { textLength } = encoders;
    const textWidth = encoders.t5.config.width;
    const pooledWidth = encoders.clip.config.width;
    const progress = new Progress({ unit: "prompts", total: prompts.length });
    try {
      await saveFolder(out, async (folder) => {
        for (let start = 0; start < prompts.length; start += perFile) {
          const end = Math.min(start + perFile, prompts.length);
          const all: Encoded = { txt: [], pooled: [] };
          for (let at = start; at < end; at += batch) {
            signal.throwIfAborted();
            const some = await encode(encoders, prompts.slice(at, Math.min(at + batch, end)));
            all.txt.push(...some.txt);
            all.pooled.push(...some.pooled);
            progress.update(Math.min(at + batch, end));
          }
          await folder.safetensors(embeddingFile(start / perFile), [
            entry("txt", onDisk, [end - start, textLength, textWidth], all.txt),
            entry("pooled", onDisk, [end - start, pooledWidth], all.pooled),
          ]);
        }
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
    } catch (error) {
      // Nothing half-written stays: the folder comes to be as a whole.
      if (signal.aborted) return interruptedCode(signal);
      throw error;
    } finally {
      progress.end();
      encoders.dispose();
    }
    process.stdout.write(`${out}\n`);
    return 0;
  },
});
