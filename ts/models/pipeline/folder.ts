// The layout of a diffusers FLUX folder.
import { existsSync } from "node:fs";
import path from "node:path";
import { SrpoError } from "../../native/error.js";

/** The folders of a FLUX pipeline, relative to its root. */
export type PipelinePart =
  | "transformer"
  | "vae"
  | "text_encoder"
  | "text_encoder_2"
  | "tokenizer"
  | "tokenizer_2"
  | "scheduler";

/** @throws SrpoError ERR_CHECKPOINT that names every part that is not there */
export function requireParts(root: string, parts: readonly PipelinePart[]): void {
  const missing = parts.filter((part) => !existsSync(path.join(root, part)));
  if (missing.length > 0)
    throw new SrpoError(
      "ERR_CHECKPOINT",
      `${root}: expected a FLUX folder with ${parts.join(", ")}, got none of ${missing.join(", ")}; ` +
        `"srpo-native init micro ${root}" makes a small one`,
    );
}
