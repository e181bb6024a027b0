import type { Handle } from "../handle.js";

/** What cpp/binding/micro.cpp registers. */
export interface MicroRows {
  /** Pictures [B, S, S, 3] of the micro world, and the object's share of each pixel [B, S, S] if wanted. */
  microRender(
    seed: bigint,
    purpose: number,
    step: number,
    scenes: readonly number[],
    attributes: readonly number[],
    styles: readonly number[],
    size: number,
    dtype: string,
    coverage: boolean,
  ): [pictures: Handle, coverage: Handle | null];
}
