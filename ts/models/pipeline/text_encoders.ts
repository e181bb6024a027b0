import { noGrad } from "../../autograd/tape.js";
import { tidy } from "../../tensor/scope.js";
import type { Tensor } from "../../tensor/tensor.js";
import type { ClipTokenizer } from "../../text/clip_tokenizer.js";
import type { T5Tokenizer } from "../../text/t5_tokenizer.js";
import type { ClipText } from "../clip/text_model.js";
import type { T5Encoder } from "../t5/model.js";
import { tokenRows } from "../token_ids.js";

/** The two text encoders of FLUX with their tokenizers: prompts to what the transformer reads. */
export class TextEncoders {
  constructor(
    readonly clip: ClipText,
    readonly clipTokenizer: ClipTokenizer,
    readonly t5: T5Encoder,
    readonly t5Tokenizer: T5Tokenizer,
  ) {}

  /** Tokens of a prompt as T5 sees it, padding included. */
  get textLength(): number {
    return this.t5Tokenizer.maxLength;
  }

  /** How much of a prompt is read, in words, where that is not all of it: what T5 has no room for is left out. */
  shortened(prompt: string): string | undefined {
    const { t5Tokenizer } = this;
    if (t5Tokenizer.fits(prompt)) return undefined;
    const shown = prompt.length > 60 ? `${prompt.slice(0, 60)}...` : prompt;
    return `"${shown}": only its first ${t5Tokenizer.maxLength - 1} tokens are read`;
  }

  /**
   * @returns txt [B, Lt, Dt], T5's hidden states (padding is attended, as FLUX does), and pooled
   *   [B, Dp], CLIP's end token; no gradient
   */
  encode(prompts: readonly string[]): { txt: Tensor; pooled: Tensor } {
    const clipIds = this.clipTokenizer.encodeBatch(prompts);
    const t5Ids = this.t5Tokenizer.encodeBatch(prompts);
    const [txt, pooled] = noGrad(() =>
      tidy(() => [
        this.t5.encode(tokenRows(t5Ids.ids, t5Ids.shape[1])),
        this.clip.encode(tokenRows(clipIds.ids, clipIds.shape[1])).pooled,
      ]),
    );
    return { txt: txt, pooled: pooled };
  }

  dispose(): void {
    this.clip.dispose();
    this.t5.dispose();
  }
}
