export type { TokenBatch } from "./batch.js";
export { BertTokenizer, type BertTokenizerOptions } from "./bert_tokenizer.js";
export type { ClipVariant } from "./clip_pieces.js";
export { ClipTokenizer, type ClipTokenizerOptions } from "./clip_tokenizer.js";
export { learnClip, type LearnedClip } from "./learn_clip.js";
export { learnT5 } from "./learn_t5.js";
export {
  learnedClipFiles,
  learnedT5Files,
  writeLearnedClip,
  writeLearnedT5,
  type TokenizerFiles,
} from "./learn.js";
export { readPrompts, shippedPromptsFile } from "./prompts.js";
export { T5Tokenizer, type T5TokenizerOptions } from "./t5_tokenizer.js";
