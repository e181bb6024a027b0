import assert from "node:assert/strict";
import { native } from "../../ts/native/binding.js";
import type { Tensor } from "../../ts/tensor/tensor.js";

/** Fails unless `fn` throws with this code and this whole message. */
export function refuses(fn: () => unknown, code: string, message: string): void {
  assert.throws(fn, { code, message });
}

/** Fails unless what `fn` computes on the cpu has the same bits for 1, 2 and 3 threads. */
export async function assertSameBitsForThreads(
  fn: () => readonly Tensor[] | Promise<readonly Tensor[]>,
): Promise<void> {
  const all = native.cpuThreads();
  let first: Buffer[] | undefined;
  try {
    for (const threads of [1, 2, 3]) {
      native.cpuSetThreads(threads);
      const bytes = [];
      for (const t of await fn()) bytes.push(Buffer.from(await t.readBytes()));
      if (first === undefined) first = bytes;
      else
        bytes.forEach((b, i) => {
          assert.ok(b.equals(first![i]!), `output ${i}: other bits with ${threads} threads`);
        });
    }
  } finally {
    native.cpuSetThreads(all);
  }
}
