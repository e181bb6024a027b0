import type { Handle } from "../handle.js";

/** What cpp/binding/embedding.cpp registers. */
export interface EmbeddingRows {
  embeddingForward(
    table: Handle,
    ids: readonly number[] | Int32Array,
    shape: readonly number[],
  ): [y: Handle, ids: Handle];
  /** Adds to dtable. */
  embeddingBackward(dtable: Handle, dy: Handle, ids: Handle): void;
}
