// One rank of aside.test.ts and nccl.test.ts: collectives beside the device's own work. No clock decides anything:
// a rank that others must not wait for comes when a file says that they have gone on.
import assert from "node:assert/strict";
import { existsSync, writeFileSync } from "node:fs";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { NativeCommunicator } from "../../ts/ranks/native_communicator.js";
import { openCommunicator, type Engine } from "../../ts/ranks/open.js";
import { readPlace } from "../../ts/ranks/place.js";
import { add, matmul } from "../../ts/ops/index.js";
import { hasDevice, memoryOf, synchronize, type Device } from "../../ts/tensor/device.js";
import { tensorScope } from "../../ts/tensor/scope.js";
import { empty, tensor, zeros } from "../../ts/tensor/tensor.js";

const device = process.argv[2] as Device;
assert.ok(hasDevice(device));
const folder = process.argv[3]!;
const engine = process.argv[4] as Engine | undefined;
const communicator = await openCommunicator(readPlace(), device, { ...(engine && { engine }) });
assert.ok(communicator instanceof NativeCommunicator);
const { rank, size } = communicator;
const last = size - 1;

const says = (what: string): void => writeFileSync(path.join(folder, what), "");
const hears = async (what: string): Promise<void> => {
  while (!existsSync(path.join(folder, what))) await sleep(2);
};
const n = 3000;
/** What rank r holds at i; the sums over all ranks are exact. */
const held = (r: number, i: number) => ((i * 7) % 1000) + r * 1000;
const places = Array.from({ length: n * size }, (_, i) => i);
const summed = places.map((i) => places.slice(0, size).reduce((sum, r) => sum + held(r, i), 0));
const mySum = summed.slice(rank * n, (rank + 1) * n);
const mine = () =>
  tensor(
    places.map((i) => held(rank, i)),
    [n * size],
    { device },
  );
const full = (shape: number[], value: number) =>
  tensor(new Float32Array(shape.reduce((a, b) => a * b)).fill(value), shape, { device });
const part = () => empty([n], { device });

{
  // The last rank comes when all others have gone on beyond the collective, on the device too.
  using scope = tensorScope();
  void scope;
  if (rank === last) for (let r = 0; r < last; ++r) await hears(`beyond ${r}`);
  const [input, output] = [mine(), part()];
  const pending = communicator.reduceScatterAside(input, output);
  // Its memory is not handed to what comes later.
  input.dispose();
  const other = full([n * size], -5);
  assert.equal((await add(other, other).read())[0], -10);
  if (rank !== last) {
    while (communicator.where.collective === "") await sleep(1); // it is enqueued, or waits for the last
    assert.equal(communicator.where.collective, "reduceScatter");
    // Waited for, it has let its memory go already: what is enqueued later stands behind it.
    const before = memoryOf(device).inUse;
    pending.wait();
    assert.ok(before - memoryOf(device).inUse >= 4 * n * size);
    says(`beyond ${rank}`);
  }
  pending.wait();
  pending.wait();
  assert.deepEqual([...(await output.read())], mySum);
}

{
  // It begins when what was enqueued before has ended: it takes the result of long work.
  using scope = tensorScope();
  void scope;
  const side = device === "cpu" ? 512 : 64;
  let x = full([side, side], 1 / side);
  for (let i = 0; i < 4; ++i) x = matmul(x, full([side, side], 1));
  const gathered = empty([size, side * side], { device });
  const pending = communicator.allGatherAside(x.viewOf(0, [side * side]), gathered);
  pending.wait();
  const plain = empty([size, side * side], { device });
  communicator.allGather(x.viewOf(0, [side * side]), plain);
  assert.ok((await gathered.read()).every((y) => y === side ** 3));
  assert.deepEqual(await gathered.readBytes(), await plain.readBytes());
}

{
  // One order, however the waits stand and with plain ones between.
  using scope = tensorScope();
  void scope;
  const [first, second] = [part(), part()];
  const whole = empty([n * size], { device });
  const word = full([1], rank);
  const [a, b] = [
    communicator.reduceScatterAside(mine(), first),
    communicator.reduceScatterAside(mine(), second),
  ];
  communicator.allReduce(word);
  b.wait();
  const gathering = communicator.allGatherAside(second, whole);
  a.wait();
  communicator.allReduce(word, "max");
  gathering.wait();
  assert.deepEqual([...(await first.read())], mySum);
  assert.deepEqual([...(await whole.read())], summed);
  assert.equal(await word.item(), (size * last) / 2);
}

// Nobody waits for them: they run all the same, and their memory goes back.
for (let i = 0; i < 50; ++i) {
  using scope = tensorScope();
  void scope;
  communicator.reduceScatterAside(mine(), part());
}
await communicator.barrier();
const { submitted, started, ended } = communicator.progress;
assert.equal(ended, submitted);
assert.equal(started, ended);

if (engine === "nccl") {
  // A sum of 1013 elements fails, on all ranks: the stand-in says so. What follows is skipped until that is told.
  using scope = tensorScope();
  void scope;
  const [bad, good] = [empty([1013], { device }), part()];
  const failing = communicator.reduceScatterAside(zeros([1013 * size], { device }), bad);
  const skipped = communicator.reduceScatterAside(mine(), good);
  failing.wait();
  const expected = /^reduceScatter: ncclReduceScatter: invalid argument/;
  await assert.rejects(synchronize(device), { code: "ERR_NCCL", message: expected });
  skipped.wait();
  await assert.rejects(good.read(), { code: "ERR_NCCL", message: expected });
  const unheard = communicator.reduceScatterAside(zeros([1013 * size], { device }), bad);
  communicator.allReduce(zeros([1], { device })); // stands behind it, and is skipped
  await assert.rejects(synchronize(device), { message: expected });
  void unheard;
  const again = communicator.reduceScatterAside(mine(), good);
  again.wait();
  assert.deepEqual([...(await good.read())], mySum);
}

await communicator.dispose();
console.log(`rank ${rank} of ${size} is right`);
