import assert from "node:assert/strict";
import { SrpoError } from "../../ts/native/error.js";
import { native } from "../../ts/native/binding.js";
import type { Tensor } from "../../ts/tensor/tensor.js";

/** Fails unless `fn` throws with this code and this whole message. */
export function refuses(fn: () => unknown, code: string, message: string): void {
  assert.throws(fn, (error: unknown) => {
    // An op that the device does not have yet: the test is skipped, see devices.ts.
    if (error instanceof SrpoError && error.code === "ERR_UNSUPPORTED") throw error;
    assert.ok(error instanceof Error);
    const { code: actual } = error as Error & { code?: string };
    assert.deepEqual({ code: actual, message: error.message }, { code, message });
    return true;
  });
}

/**
 * Fails unless what `fn` computes has the same bits for 1, 2 and 3 threads of the cpu device, and under
 * as many schedules of the emulated one.
 */
export async function assertSameBitsForThreads(
  fn: () => readonly Tensor[] | Promise<readonly Tensor[]>,
): Promise<void> {
  const all = native.cpuThreads();
  let first: Buffer[] | undefined;
  try {
    for (const threads of [1, 2, 3]) {
      native.cpuSetThreads(threads);
      if (native.hasDevice("emulated")) native.emulatedSeed(threads);
      const bytes = [];
      for (const t of await fn()) bytes.push(Buffer.from(await t.readBytes()));
      if (first === undefined) first = bytes;
      else
        bytes.forEach((b, i) => {
          assert.ok(
            b.equals(first![i]!),
            `output ${i}: other bits with ${threads} threads, or under another schedule`,
          );
        });
    }
  } finally {
    native.cpuSetThreads(all);
  }
}
