import type { FolderWriter } from "../../checkpoint/folder_writer.js";
import { learnedClipFiles, learnedT5Files, type TokenizerFiles } from "../../text/index.js";
import { caption, captionTokens, phrasings, withStyleWord } from "../captions.js";
import { scenesOf } from "../scenes.js";
import { styles, styleWords } from "../styles.js";

/** Scenes whose captions the vocabularies are learned from: every value of every attribute among them. */
const learnedFrom = 240;
/** Most entries; the captions' words need fewer. */
const most = 1024;

/** What the vocabularies are learned from: captions in all phrasings, and each style word before some of them. */
export function vocabularyTexts(): string[] {
  const scenes = scenesOf("training", 0, learnedFrom);
  const plain = scenes.flatMap(({ attributes }) =>
    Array.from({ length: phrasings }, (_, i) => caption(attributes, i)),
  );
  const words = styles.flatMap((style) => styleWords[style].map(({ word }) => word));
  const styled = words.flatMap((word, i) =>
    Array.from({ length: 20 }, (_, j) => withStyleWord(word, plain[(20 * i + j) % plain.length]!)),
  );
  return [...plain, ...styled];
}

export interface Vocabularies {
  readonly clip: TokenizerFiles;
  readonly t5: TokenizerFiles;
}

/** The world's two vocabularies, learned from its captions; always the same. */
export function learnVocabularies(): Vocabularies {
  const all = vocabularyTexts();
  return {
    clip: learnedClipFiles(all, { size: most, maxLength: captionTokens }),
    t5: learnedT5Files(all, { size: most, maxLength: captionTokens }),
  };
}

/** Writes tokenizer/ and tokenizer_2/, as a FLUX folder has them. */
export async function writeVocabularies(
  folder: FolderWriter,
  { clip, t5 }: Vocabularies,
): Promise<void> {
  for (const [name, content] of Object.entries(clip.files))
    await folder.bytes(`tokenizer/${name}`, content);
  for (const [name, content] of Object.entries(t5.files))
    await folder.bytes(`tokenizer_2/${name}`, content);
}
