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

/** Bytes that the device could still hand out beside what is in use, and that it has in all. */
export function memoryLeft(device: Device): { free: number; total: number } {
  const [free, total] = native.memoryLeft(device);
  return { free, total };
}

/**
 * Lets the device's pool hand out and keep no more than so many bytes from here on, where others need the
 * rest; what is asked for beyond is ERR_OUT_OF_MEMORY. 0 ends the limit.
 */
export function limitMemory(device: Device, bytes: number): void {
  native.poolLimit(device, bytes);
}

/**
 * Runs `allocate`; messages about memory call what it allocates by this name (weights, moments, ...) instead of
 * by the op.
 */
export function labelled<T>(name: string, allocate: () => T): T {
  native.memoryLabel(name);
  try {
    return allocate();
  } finally {
    native.memoryLabel(null);
  }
}
