import { mkdir, writeFile } from "node:fs/promises";
import path from "node:path";
import { endToken, startToken } from "./clip_vocabulary.js";
import { learnClip } from "./learn_clip.js";
import { learnT5 } from "./learn_t5.js";

const json = (value: unknown): string => `${JSON.stringify(value, null, 2)}\n`;

async function writeFiles(folder: string, files: Readonly<Record<string, string>>): Promise<void> {
  await mkdir(folder, { recursive: true });
  for (const [name, content] of Object.entries(files))
    await writeFile(path.join(folder, name), content);
}

/** A tokenizer folder's files by name, and the entries of its vocabulary. */
export interface TokenizerFiles {
  readonly files: Readonly<Record<string, string>>;
  readonly size: number;
}

/**
 * Learns a CLIP vocabulary as a tokenizer folder that ClipTokenizer and transformers read: vocab.json,
 * merges.txt, tokenizer_config.json, special_tokens_map.json.
 */
export function learnedClipFiles(
  texts: readonly string[],
  { size, maxLength = 77 }: { size: number; maxLength?: number },
): TokenizerFiles {
  const learned = learnClip(texts, { size });
  const tokens = {
    bos_token: startToken,
    eos_token: endToken,
    unk_token: endToken,
    pad_token: endToken,
  };
  const files = {
    "vocab.json": learned.vocabJson,
    "merges.txt": learned.mergesTxt,
    "special_tokens_map.json": json(tokens),
    "tokenizer_config.json": json({
      ...tokens,
      tokenizer_class: "CLIPTokenizer",
      model_max_length: maxLength,
    }),
  };
  return { files, size: learned.size };
}

/** Writes what `learnedClipFiles` gives. Returns the entries of the vocabulary. */
export async function writeLearnedClip(
  folder: string,
  texts: readonly string[],
  options: { size: number; maxLength?: number },
): Promise<number> {
  const { files, size } = learnedClipFiles(texts, options);
  await writeFiles(folder, files);
  return size;
}

/** Learns a T5 vocabulary as a tokenizer folder: tokenizer.json and its two companions. */
export function learnedT5Files(
  texts: readonly string[],
  { size, maxLength = 512 }: { size: number; maxLength?: number },
): TokenizerFiles {
  const tokens = { eos_token: "</s>", unk_token: "<unk>", pad_token: "<pad>" };
  const tokenizer = learnT5(texts, { size });
  const { model } = JSON.parse(tokenizer) as { model: { vocab: unknown[] } };
  const files = {
    "tokenizer.json": tokenizer,
    "special_tokens_map.json": json(tokens),
    "tokenizer_config.json": json({
      ...tokens,
      extra_ids: 0,
      tokenizer_class: "T5Tokenizer",
      model_max_length: maxLength,
    }),
  };
  return { files, size: model.vocab.length };
}

/** Writes what `learnedT5Files` gives. */
export async function writeLearnedT5(
  folder: string,
  texts: readonly string[],
  options: { size: number; maxLength?: number },
): Promise<void> {
  await writeFiles(folder, learnedT5Files(texts, options).files);
}
