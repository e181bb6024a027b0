import type { TextEncoders } from "../models/pipeline/text_encoders.js";

/** Says which prompts are longer than what the encoders read of them: the first, and how many more. */
export function warnOfLongPrompts(encoders: TextEncoders, prompts: readonly string[]): void {
  const [first, ...more] = prompts.flatMap((prompt) => encoders.shortened(prompt) ?? []);
  if (first === undefined) return;
  const others = more.length === 0 ? "" : `, and so of ${more.length} more prompts`;
  process.stderr.write(`prompts: ${first}${others}\n`);
}
