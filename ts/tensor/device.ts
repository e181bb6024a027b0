import { native } from "../native/binding.js";
import { openEmulated } from "../native/emulated.js";

/** Where tensors live and ops run: `cpu`, `emulated` (the CUDA sources on the CPU) or `cuda:N`. */
export type Device = "cpu" | "emulated" | `cuda:${number}`;

/**
 * Whether the device is there, without an error if not. `emulated` is once `npm run build:emulated`
 * has built it.
 */
export function hasDevice(device: Device): boolean {
  return device === "emulated" ? openEmulated() : native.hasDevice(device);
}

/**
 * Resolves when all work enqueued on the device so far has ended. Rejects, once, with the error of the
 * first op that failed since the last wait; what was enqueued after that op was skipped.
 */
export function synchronize(device: Device): Promise<void> {
  return native.synchronize(device);
}

/** Bytes of the device's memory pool: handed out, kept for reuse, and the most ever handed out. */
export function memoryOf(device: Device): { inUse: number; cached: number; peak: number } {
  const [inUse, cached, peak] = native.poolStats(device);
  return { inUse, cached, peak };
}
