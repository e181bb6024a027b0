// Prompts for a model of the micro world, checked before anything is loaded.
import path from "node:path";
import { listImages } from "../data/images.js";
import {
  isOfMicroWorld,
  microPromptsFile,
  unknownWordLines,
  type PlacedPrompt,
} from "../micro/prompt_words.js";
import { SrpoError } from "../native/error.js";
import { readPromptLines } from "../text/prompts.js";
import type { TrainConfig } from "../train/config.js";

async function linesOf(file: string): Promise<PlacedPrompt[]> {
  const lines = await readPromptLines(file);
  return lines.map(({ line, text }) => ({ place: `line ${line}`, text }));
}

/** What a run reads, by the option that names it. */
async function textsOf(config: TrainConfig): Promise<[source: string, PlacedPrompt[]][]> {
  const { prompts, samplePrompts, evalPrompts, embeddings, images } = config;
  const files = [prompts, samplePrompts, evalPrompts];
  if (embeddings !== undefined) files.push(path.join(embeddings, "prompts.txt"));
  const texts: [string, PlacedPrompt[]][] = [];
  for (const file of files) if (file !== undefined) texts.push([file, await linesOf(file)]);
  if (images !== undefined)
    texts.push([
      images,
      listImages(images).map(({ file, caption }) => ({
        place: path.basename(file),
        text: caption,
      })),
    ]);
  return texts;
}

/**
 * The options of a run with a model of the micro world: on the world's own captions where it names no prompts, and
 * on words that the world has. Another model's options stay as they are.
 *
 * @throws SrpoError ERR_CONFIG that names every unknown word, with its lines and the nearest known one
 */
export async function inWorldsWords(config: TrainConfig): Promise<TrainConfig> {
  if (!isOfMicroWorld(config.model!)) return config;
  const { prompts, embeddings, images, allowUnknownWords } = config;
  if (!allowUnknownWords)
    for (const [source, texts] of await textsOf(config)) {
      const lines = unknownWordLines(texts);
      if (lines.length > 0)
        throw new SrpoError(
          "ERR_CONFIG",
          `${source}: expected words that the micro world has, got others; ` +
            `--allow-unknown-words trains on them all the same\n${lines.join("\n")}`,
        );
    }
  const own = prompts === undefined && embeddings === undefined && images === undefined;
  return own ? { ...config, prompts: microPromptsFile } : config;
}

/** Says on stderr which words of prompts a model of the micro world does not know; it draws what it can. */
export function warnOfUnknownWords(model: string, prompts: readonly string[]): void {
  if (!isOfMicroWorld(model)) return;
  const lines = unknownWordLines(prompts.map((text, i) => ({ place: `prompt ${i + 1}`, text })));
  if (lines.length > 0)
    process.stderr.write(`words that the micro world does not have:\n${lines.join("\n")}\n`);
}
