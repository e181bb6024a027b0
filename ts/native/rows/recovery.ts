import type { Handle } from "../handle.js";

/** What cpp/binding/recovery.cpp registers. */
export interface RecoveryRows {
  recoverForward(
    clean: Handle,
    noise: Handle,
    velocity: Handle,
    g: readonly number[],
    height: number,
    width: number,
    scalingFactor: number,
    shiftFactor: number,
  ): Handle;
  recoverBackward(dz: Handle, g: readonly number[], scalingFactor: number): Handle;
}
