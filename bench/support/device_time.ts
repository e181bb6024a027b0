// Times of calls by a device's own clock: events on a GPU, the executor's clock elsewhere.
import { native } from "../../ts/native/binding.js";
import { synchronize, type Device } from "../../ts/tensor/device.js";
import { release } from "../../ts/tensor/scope.js";
import { zeros, type Tensor } from "../../ts/tensor/tensor.js";
import type { Call } from "./case.js";

// Beyond any second-level cache (60 MB on an H200), and long enough on a card (some 150 us) that the host
// has enqueued the next call before it has ended.
const flushBytes = 512 * 2 ** 20;
let flushed: Tensor | undefined;

/** Overwrites what a GPU's cache holds. */
function flush(device: Device): void {
  if (!device.startsWith("cuda")) return;
  flushed ??= release(zeros([flushBytes], { dtype: "uint8", device }));
  native.tensorZero(flushed.handle);
}

/**
 * Microseconds of each of `calls` calls, from the beginning of a call's first op to the end of its last, the
 * cache cold before each.
 */
export async function deviceTimes(device: Device, call: Call, calls: number): Promise<number[]> {
  await synchronize(device);
  native.profileBegin(device, device.startsWith("cuda") ? "events" : "clock");
  const spans: [from: number, to: number][] = [];
  try {
    for (let i = 0; i < calls; ++i) {
      flush(device);
      const from = native.profileSize(device);
      await call();
      spans.push([from, native.profileSize(device)]);
    }
    await synchronize(device);
  } catch (error) {
    native.profileEnd(device);
    throw error;
  }
  const { begin, end } = native.profileEnd(device);
  return spans.map(([from, to]) => {
    const us = to > from ? end[to - 1]! - begin[from]! : Number.NaN;
    if (!Number.isFinite(us)) throw new Error("bench: a call left no time on the device");
    return us;
  });
}

/** Microseconds of a call in a stretch of `calls`, by the clock on the wall. */
export async function stretchTime(device: Device, call: Call, calls: number): Promise<number> {
  await synchronize(device);
  const started = performance.now();
  for (let i = 0; i < calls; ++i) await call();
  await synchronize(device);
  return ((performance.now() - started) * 1000) / calls;
}
