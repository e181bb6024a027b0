import { ropeTable } from "../../ops/index.js";
import type { Tensor } from "../../tensor/tensor.js";
import type { Device } from "../../tensor/device.js";
import type { FluxConfig } from "./config.js";

/** Cosines and sines of the rotary angles, [L, Dh / 2] float32 each; text tokens first. */
export interface RopeTable {
  readonly cos: Tensor;
  readonly sin: Tensor;
}

/** Position ids of the joint sequence: (0, 0, 0) for text, (0, row, column) for the packed grid. */
export function fluxIds({
  textLength,
  height,
  width,
}: {
  textLength: number;
  height: number;
  width: number;
}): number[][] {
  const ids: number[][] = Array.from({ length: textLength }, () => [0, 0, 0]);
  for (let row = 0; row < height; ++row)
    for (let column = 0; column < width; ++column) ids.push([0, row, column]);
  return ids;
}

/** The rotary table of these ids; the same for every step and block, so made once. */
export function fluxRope(
  { axes, theta }: FluxConfig,
  ids: readonly (readonly number[])[],
  { device = "cpu" }: { device?: Device } = {},
): RopeTable {
  return ropeTable(ids, axes, theta, { device });
}
