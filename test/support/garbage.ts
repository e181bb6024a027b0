import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { memoryOf, synchronize, type Device } from "../../ts/tensor/device.js";

setFlagsFromString("--expose-gc");

/** Frees what nothing holds any more, JavaScript's objects and the native memory behind them. */
export const collectGarbage = runInNewContext("gc") as () => void;

/**
 * Bytes of the pool in use once the work is done and the garbage is gone: what an earlier test left
 * lying may otherwise be collected between two looks.
 */
export async function memoryInUse(device: Device): Promise<number> {
  await synchronize(device);
  for (let round = 0; round < 2; ++round) {
    collectGarbage();
    // Finalizers run in a turn of their own.
    await new Promise((resolve) => setImmediate(resolve));
  }
  await synchronize(device);
  return memoryOf(device).inUse;
}
