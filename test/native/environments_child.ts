// environments_child PART: one thing that must not crash; environments.test.ts says which and checks.
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";
import type { Binding, Handle } from "../../ts/native/binding.js";
import { codeOf } from "../../ts/native/error.js";

const file = fileURLToPath(import.meta.url);
const part = isMainThread ? process.argv[2]! : (workerData as string);
const load = async (): Promise<Binding> => (await import("../../ts/native/binding.js")).native;
const worker = (name: string): Worker => new Worker(file, { workerData: name });
const ended = (thread: Worker) =>
  new Promise<number>((resolve) => void thread.once("exit", resolve));

// oxlint-disable-next-line unicorn/require-post-message-target-origin -- a window's, not a port's
const tell = (message: string): void => parentPort!.postMessage(message);

const size = 192;
function filled(native: Binding, value: number): Handle {
  const t = native.tensorEmpty([size, size], "float32", "cpu");
  native.fill(t, value);
  return t;
}
/** Some milliseconds of work: (value * ones)^2 has size * value^2 everywhere. */
async function square(native: Binding, value: number): Promise<void> {
  const a = filled(native, value);
  const y = native.matmulForward(a, a, false, false);
  const read = new Float32Array(await native.tensorRead(y));
  const expected = Math.fround(size * value * value);
  assert.ok(read.every((got) => Math.abs(got - expected) <= 1e-4 * expected));
  for (const t of [a, y]) native.tensorDispose(t);
}
/** Queues work and does not wait for it. */
function flood(native: Binding, pieces: number): void {
  const a = filled(native, 1);
  for (let i = 0; i < pieces; ++i) native.matmulForward(a, a, false, false);
  void native.tensorRead(a);
}
/** Work on tensors that nobody holds when this returns. */
function abandon(native: Binding, value: number): void {
  const a = filled(native, value);
  native.matmulForward(native.addForward(a, a), a, false, false);
}
const inUse = (native: Binding) => native.poolStats("cpu")[0];

const parts: Record<string, () => Promise<void>> = {
  async workers() {
    const native = await load();
    for (let round = 0; round < 4; ++round) {
      const both = [worker("flooding"), worker("flooding")];
      for (let i = 0; i < 16; ++i) await square(native, 1 + i);
      await Promise.all(both.map(ended));
    }
    assert.equal(inUse(native), 0);
    console.log("main 64 correct");
  },
  async flooding() {
    const native = await load();
    for (let i = 0; i < 4; ++i) await square(native, 2 + i);
    flood(native, 500);
    process.exit(0);
  },
  async terminated() {
    const native = await load();
    for (let round = 0; round < 24; ++round) {
      const thread = worker("endless");
      const exit = ended(thread);
      await new Promise((resolve) => void thread.once("message", resolve));
      await new Promise((resolve) => void setTimeout(resolve, round));
      await thread.terminate();
      await exit;
      await square(native, 1 + round);
    }
    assert.equal(inUse(native), 0);
    console.log("main correct");
  },
  async endless() {
    const native = await load();
    tell("begun");
    for (;;) {
      const a = filled(native, 3);
      for (let i = 0; i < 30; ++i) native.tensorDispose(native.addForward(a, a));
      try {
        native.tensorView(a, 1, [size, size]);
      } catch (error) {
        assert.equal(codeOf(error), "ERR_SHAPE");
      }
      await native.tensorRead(a);
      native.tensorDispose(a);
    }
  },
  async failures() {
    const native = await load();
    const thread = worker("failing");
    const said = new Promise<string>((resolve) => void thread.once("message", resolve));
    for (let i = 0; i < 40; ++i) await square(native, 1 + i);
    console.log(`main correct, worker ${await said}`);
  },
  async failing() {
    const native = await load();
    const logits = filled(native, 1);
    const target = native.tensorFrom(new Int32Array(size).fill(-1), [size], "int32", "cpu");
    let code: string | undefined;
    for (let i = 0; i < 20; ++i) {
      native.softmaxCrossEntropyForward(logits, target);
      await new Promise((resolve) => void setTimeout(resolve, 2));
      try {
        await native.synchronize("cpu");
        code = "none";
      } catch (error) {
        code = codeOf(error);
      }
    }
    tell(code ?? "no code");
  },
  async "only worker"() {
    for (let round = 0; round < 3; ++round) assert.equal(await ended(worker("flooding")), 0);
    console.log("done");
  },
  async exit() {
    const native = await load();
    flood(native, 2000);
    setTimeout(() => process.exit(7), 5);
    await native.synchronize("cpu");
  },
  async "fall off"() {
    flood(await load(), 300);
  },
  async scope() {
    const native = await load();
    for (let round = 0; round < 50; ++round) {
      const depth = native.scopeBegin();
      try {
        const t = filled(native, 1);
        native.scopeBegin(); // and never ended
        native.matmulForward(t, t, false, false);
        if (round >= 0) throw new Error("on the way");
      } catch {
        assert.throws(() => native.scopeEnd(depth, []), /ERR_SCOPE|innermost/u);
        native.scopeEnd(depth + 1, []);
        native.scopeEnd(depth, []);
      }
    }
    await native.synchronize("cpu");
    console.log(`in use ${inUse(native)}`);
  },
  async collector() {
    const native = await load();
    for (let round = 0; round < 30; ++round) {
      for (let i = 0; i < 20; ++i) {
        abandon(native, i);
        if (i % 7 === 0) globalThis.gc!();
      }
      const [before, during] = [square(native, 3), square(native, 4)];
      globalThis.gc!();
      await Promise.all([before, during]);
    }
    for (let i = 0; i < 10 && inUse(native) > 0; ++i) {
      globalThis.gc!();
      await new Promise((resolve) => void setTimeout(resolve, 20));
    }
    console.log(`in use ${inUse(native)}`);
  },
  async trim() {
    const native = await load();
    for (let round = 0; round < 100; ++round) {
      const a = filled(native, 2);
      for (let i = 0; i < 5; ++i) native.tensorDispose(native.matmulForward(a, a, false, false));
      native.poolTrim("cpu");
      const late = native.matmulForward(a, a, false, false); // freed after trim was enqueued
      const read = native.tensorRead(late);
      native.tensorDispose(late);
      native.tensorDispose(native.matmulForward(a, a, false, false));
      native.tensorDispose(a);
      native.poolTrim("cpu");
      assert.ok(new Float32Array(await read).every((value) => value === 4 * size));
    }
    await native.synchronize("cpu");
    assert.equal(inUse(native), 0);
    console.log("reads correct");
  },
  async memory() {
    const native = await load();
    let code: string | undefined;
    for (let round = 0; round < 3; ++round) {
      const held: Handle[] = [];
      try {
        for (;;) {
          const t = native.tensorEmpty([(1 + round) * 16, 2 ** 20], "float32", "cpu");
          native.tensorZero(t);
          held.push(t);
        }
      } catch (error) {
        code = codeOf(error);
        assert.match(String(error), /asked for .* in use/u);
      }
      assert.ok(held.length > 2);
      for (const t of held) native.tensorDispose(t);
      // The cache is full of blocks of another size; a new one still fits.
      await square(native, 5);
    }
    console.log(`refused ${code}, then correct`);
  },
};

await parts[part]!();
