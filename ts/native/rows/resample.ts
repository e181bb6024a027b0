import type { Handle } from "../handle.js";

/** What cpp/binding/resample.cpp registers. */
export interface ResampleRows {
  patchify(picture: Handle, patch: number, name: string, argument: string): Handle;
  unpatchify(
    tokens: Handle,
    height: number,
    width: number,
    patch: number,
    name: string,
    argument: string,
  ): Handle;
  resizeCropNormalizeForward(
    image: Handle,
    size: number,
    fit: "crop" | "stretch" | "pad",
    antialias: boolean,
    mean: readonly number[],
    std: readonly number[],
  ): Handle;
  resizeCropNormalizeBackward(
    dy: Handle,
    imageShape: readonly number[],
    fit: "crop" | "stretch" | "pad",
    antialias: boolean,
    std: readonly number[],
  ): Handle;
}
