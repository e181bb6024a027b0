// How many transformer blocks run again in backward instead of keeping what they save.

/** What `recompute` may be; true and false are all and none. */
export const recomputeForm = {
  form: /^(?:auto|none|all|true|false|\d{1,4})$/,
  says: "auto, none, all or a number of blocks",
} as const;

/**
 * Of so many blocks, how many run again, the first ones; all of them where `auto` was not decided.
 */
export function recomputedBlocks(recompute: string, blocks: number): number {
  if (recompute === "none" || recompute === "false") return 0;
  return /^\d+$/.test(recompute) ? Math.min(Number(recompute), blocks) : blocks;
}
