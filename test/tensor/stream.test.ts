// What a stream does when queued work fails, and when it is given more than it can hold.
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { SafetensorsFile } from "../../ts/checkpoint/safetensors.js";
import { codeOf, SrpoError } from "../../ts/native/error.js";
import { affine, fill, matmul } from "../../ts/ops/index.js";
import { denoise } from "../../ts/sampler/denoise.js";
import { shiftedSigmas } from "../../ts/sampler/schedule.js";
import { synchronize } from "../../ts/tensor/device.js";
import { tensorScope } from "../../ts/tensor/scope.js";
import { tensor, type Tensor } from "../../ts/tensor/tensor.js";
import { forEachDevice, randn } from "../support/index.js";

const elements = 4096;

/** A file whose data is gone after its header was read: reading it fails in the queue, not before. */
function withTruncated(fn: (file: SafetensorsFile) => Promise<void>): () => Promise<void> {
  return async () => {
    const folder = mkdtempSync(path.join(os.tmpdir(), "srpo-stream-"));
    try {
      const place = path.join(folder, "x.safetensors");
      const header = JSON.stringify({
        x: { dtype: "F32", shape: [elements], data_offsets: [0, 4 * elements] },
      });
      const length = Buffer.alloc(8);
      length.writeBigUInt64LE(BigInt(header.length));
      writeFileSync(
        place,
        Buffer.concat([length, Buffer.from(header), Buffer.alloc(4 * elements)]),
      );
      using file = SafetensorsFile.open(place);
      truncateSync(place, 8 + header.length + 100);
      await fn(file);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  };
}

/** What a promise is rejected with. */
async function failureOf(promise: Promise<unknown>): Promise<SrpoError> {
  try {
    await promise;
  } catch (error) {
    assert.ok(error instanceof SrpoError);
    return error;
  }
  return assert.fail("expected an error, got none");
}

forEachDevice("stream", (test, device) => {
  test(
    "a failed op surfaces at the next wait, names itself, and later work is skipped until then",
    withTruncated(async (file) => {
      const target = tensor([1, 2], [2], { device });
      file.read("x", { device });
      fill(target, 7);
      const error = await failureOf(synchronize(device));
      assert.equal(error.code, "ERR_CHECKPOINT");
      assert.match(error.message, /^read: .*x\.safetensors.*x/s);
      await synchronize(device);
      assert.deepEqual(Array.from(await target.read()), [1, 2], "the skipped fill");
      fill(target, 7);
      assert.deepEqual(Array.from(await target.read()), [7, 7], "usable again");
    }),
  );

  test(
    "reading values is a wait too; only the first one after the failure rejects",
    withTruncated(async (file) => {
      const x = file.read("x", { device });
      const waits = [x.read(), synchronize(device), tensor([3], [1], { device }).item()];
      const settled = await Promise.allSettled(waits);
      assert.deepEqual(
        settled.map(({ status }) => status),
        ["rejected", "fulfilled", "fulfilled"],
      );
      const [first] = settled as [PromiseRejectedResult];
      assert.equal(codeOf(first.reason), "ERR_CHECKPOINT");
    }),
  );

  test(
    "several failures before a wait: the first is told",
    withTruncated(async (file) => {
      for (let i = 0; i < 3; ++i) file.read("x", { device });
      const error = await failureOf(synchronize(device));
      assert.equal(error.code, "ERR_CHECKPOINT");
      await synchronize(device);
    }),
  );

  test(
    "a rollout that fails in the queue rejects, and one that also throws leaves no rejection behind",
    withTruncated(async (file) => {
      const noise = randn([1, 4, 12], { device });
      const unhandled: unknown[] = [];
      const note = (reason: unknown) => void unhandled.push(reason);
      process.on("unhandledRejection", note);
      try {
        for (const throwsAt of [5, 2]) {
          let calls = 0;
          const velocity = (x: Tensor) => {
            calls += 1;
            if (calls === 1) file.read("x", { device });
            if (calls === throwsAt) throw new SrpoError("ERR_CONFIG", "no such velocity");
            return x;
          };
          const error = await failureOf(denoise(velocity, noise, shiftedSigmas(4, 3)));
          assert.equal(error.code, throwsAt === 2 ? "ERR_CONFIG" : "ERR_CHECKPOINT");
          await synchronize(device).catch(() => undefined);
        }
        await new Promise((resolve) => setImmediate(resolve));
        assert.deepEqual(unhandled, []);
      } finally {
        process.off("unhandledRejection", note);
      }
    }),
  );

  test("a full queue refuses the op by name, at once, and the stream recovers", async () => {
    using scope = tensorScope();
    void scope;
    const big = randn([768, 768], { device });
    const target = tensor([0], [1], { device });
    let slow: Tensor = big;
    for (let i = 0; i < 40; ++i) slow = matmul(slow, big);
    let enqueued = 0;
    const error = await failureOf(
      (async () => {
        for (; enqueued < 100_000; ++enqueued) fill(target, enqueued);
      })(),
    );
    assert.equal(error.code, "ERR_QUEUE_FULL");
    assert.match(error.message, /^fill: expected fewer than \d+ pending operations on /);
    assert.ok(enqueued > 30_000 && enqueued < 100_000, `${enqueued}`);
    await synchronize(device);
    assert.equal(await target.item(), enqueued - 1, "all that was taken has run");
    assert.equal(await affine(target, 0, 5).item(), 5);
  });

  test("waits that follow each other without work resolve", async () => {
    await Promise.all(Array.from({ length: 100 }, () => synchronize(device)));
  });
});
