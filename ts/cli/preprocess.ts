import path from "node:path";
import { EmbeddingWriter, type EmbeddingRows } from "../data/embedding_writer.js";
import { loadTextEncoders } from "../models/pipeline/load.js";
import type { TextEncoders } from "../models/pipeline/text_encoders.js";
import { SrpoError } from "../native/error.js";
import { tensorScope } from "../tensor/scope.js";
import { readPrompts, shippedPromptsFile } from "../text/prompts.js";
import { deviceOption } from "../train/config.js";
import { loading } from "../train/loading.js";
import { Progress } from "../train/progress.js";
import { requireDevice } from "../train/setup.js";
import { warnOfLongPrompts } from "./long_prompts.js";
import { warnOfUnknownWords } from "./world_words.js";
import { command } from "./command.js";
import { interruptedCode } from "./interrupt.js";

async function encode(encoders: TextEncoders, prompts: readonly string[]): Promise<EmbeddingRows> {
  using scope = tensorScope();
  void scope;
  const { txt, pooled } = encoders.encode(prompts);
  return {
    txt: new Uint8Array(await txt.readBytes()),
    pooled: new Uint8Array(await pooled.readBytes()),
  };
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
    perFile: {
      type: "number",
      integer: true,
      min: 1,
      max: 65536,
      default: 64,
      help: "prompts a file; an interrupted call goes on after the last whole one",
    },
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
    EmbeddingWriter.requireRoom(out);
    const prompts = await readPrompts(file ?? shippedPromptsFile);
    warnOfUnknownWords(model, prompts);
    const dtype = precision === "bf16" ? "bfloat16" : "float32";
    const encoders = await loadTextEncoders(
      { model, base },
      { dtype, device: requireDevice(device), ...loading("text encoders") },
    );
    warnOfLongPrompts(encoders, prompts);
    let progress: Progress | undefined;
    try {
      const writer = await EmbeddingWriter.open(out, {
        prompts,
        perFile,
        batch,
        model: [model, base]
          .map((place) => (place === undefined ? "" : path.resolve(place)))
          .join(" "),
        textLength: encoders.textLength,
        textWidth: encoders.t5.config.width,
        pooledWidth: encoders.clip.config.width,
        dtype,
      });
      let { done } = writer;
      progress = new Progress({ unit: "prompts", total: prompts.length, done });
      for (let number = 0; number < writer.files; ++number) {
        if (writer.has(number)) continue;
        const [start, end] = writer.range(number);
        const rows = async function* () {
          for (let at = start; at < end; at += batch) {
            signal.throwIfAborted();
            const last = Math.min(at + batch, end);
            yield await encode(encoders, prompts.slice(at, last));
            progress!.update((done += last - at));
          }
        };
        await writer.write(number, rows());
      }
      await writer.finish();
    } catch (error) {
      if (!signal.aborted) throw error;
      process.stderr.write("stopped; the same command goes on after the last whole file\n");
      return interruptedCode(signal);
    } finally {
      progress?.end();
      encoders.dispose();
    }
    process.stdout.write(`${out}\n`);
    return 0;
  },
});
