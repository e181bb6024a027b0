// One rank of collectives.test.ts: every collective against its definition, computed here from what each
// rank is known to hold.
import assert from "node:assert/strict";
import { openCommunicator, type Engine } from "../../ts/ranks/open.js";
import { readPlace } from "../../ts/ranks/place.js";
import { hasDevice, synchronize, type Device } from "../../ts/tensor/device.js";
import { fromBFloat16Bits, roundToBFloat16, type DType } from "../../ts/tensor/dtype.js";
import { tensorScope } from "../../ts/tensor/scope.js";
import { empty, tensor, type Tensor } from "../../ts/tensor/tensor.js";

const device = process.argv[2] as Device; // and, if not the default, the engine
assert.ok(hasDevice(device));
const engine = process.argv[3] as Engine | undefined;
const communicator = await openCommunicator(readPlace(), device, { ...(engine && { engine }) });
const { rank, size } = communicator;
const ranks = Array.from({ length: size }, (_, r) => r);

/** What rank r holds at i: float32 values whose sums round. */
function held(r: number, i: number, dtype: DType): number {
  const word = Math.imul(i * 2654435761 + r * 40503 + 12345, 2246822519) >>> 0;
  if (dtype === "int32") return word | 0;
  if (dtype === "uint8") return word & 255;
  const value = Math.fround((word / 2 ** 32 - 0.5) * 10 ** ((i % 7) - 3));
  return dtype === "bfloat16" ? roundToBFloat16(value) : value;
}

/** The sum in the order of the ranks, in float32, rounded once. */
function summed(i: number, dtype: DType): number {
  let sum = held(0, i, dtype);
  for (const r of ranks.slice(1)) {
    const more = held(r, i, dtype);
    sum = dtype === "int32" ? (sum + more) | 0 : Math.fround(sum + more);
  }
  return dtype === "bfloat16" ? roundToBFloat16(sum) : sum;
}

const mine = (n: number, dtype: DType) =>
  tensor(
    Array.from({ length: n }, (_, i) => held(rank, i, dtype)),
    [n],
    { dtype, device },
  );

/** Exact values, also of integers beyond float32. */
async function valuesOf(t: Tensor): Promise<ArrayLike<number>> {
  const bytes = await t.readBytes();
  if (t.dtype === "int32") return new Int32Array(bytes);
  if (t.dtype === "uint8") return new Uint8Array(bytes);
  if (t.dtype === "bfloat16") return Float32Array.from(new Uint16Array(bytes), fromBFloat16Bits);
  return new Float32Array(bytes);
}

/** Fails unless element i of t is what `expected` says. */
async function assertValues(
  t: Tensor,
  expected: (i: number) => number,
  what: string,
): Promise<void> {
  const values = await valuesOf(t);
  for (let i = 0; i < t.size; ++i)
    if (values[i] !== expected(i))
      assert.fail(`${what}: at ${i}: expected ${expected(i)}, got ${values[i]}`);
}

// 1 and 3 leave ranks without a part; more than 4 MiB take several chunks.
const sizes = [1, 3, 4, 1000, 1025];
const some = (dtype: DType) =>
  engine === undefined && device === "cpu" && size === 2 && dtype === "float32"
    ? [...sizes, 1_100_003]
    : sizes;
for (const dtype of ["float32", "bfloat16", "int32"] as const)
  for (const n of some(dtype)) {
    using scope = tensorScope();
    void scope;
    const sum = mine(n, dtype);
    communicator.allReduce(sum);
    await assertValues(sum, (i) => summed(i, dtype), `sum ${dtype} ${n}`);

    const largest = mine(n, dtype);
    communicator.allReduce(largest, "max");
    const most = (i: number) => Math.max(...ranks.map((r) => held(r, i, dtype)));
    await assertValues(largest, most, `max ${dtype} ${n}`);

    const whole = mine(n * size, dtype);
    const part = empty([n], { dtype, device });
    communicator.reduceScatter(whole, part);
    await assertValues(part, (i) => summed(rank * n + i, dtype), `scatter ${dtype} ${n}`);

    // In place: the sum goes where the rank's own part of the input lies.
    const inPlace = mine(n * size, dtype);
    const own = inPlace.viewOf(rank * n, [n]);
    communicator.reduceScatter(inPlace, own);
    await assertValues(own, (i) => summed(rank * n + i, dtype), `scatter in place ${dtype} ${n}`);
  }

for (const dtype of ["float32", "bfloat16", "int32", "uint8"] as const)
  for (const n of some(dtype)) {
    using scope = tensorScope();
    void scope;
    const all = (i: number) => held(Math.floor(i / n), i % n, dtype);
    const gathered = empty([size, n], { dtype, device });
    communicator.allGather(mine(n, dtype), gathered);
    await assertValues(gathered, all, `gather ${dtype} ${n}`);

    // In place: what is gathered is output's own part.
    const inPlace = empty([size * n], { dtype, device });
    const own = inPlace.viewOf(rank * n, [n]);
    own.copyFrom(mine(n, dtype));
    communicator.allGather(own, inPlace);
    await assertValues(inPlace, all, `gather in place ${dtype} ${n}`);

    for (const root of [0, size - 1]) {
      const told = mine(n, dtype);
      communicator.broadcast(told, root);
      await assertValues(told, (i) => held(root, i, dtype), `broadcast ${dtype} ${n}`);
    }
  }

// A NaN of one rank reaches all, whatever is asked for.
for (const op of ["sum", "max"] as const) {
  const t = tensor([rank === size - 1 ? NaN : rank], [1], { device });
  communicator.allReduce(t, op);
  assert.ok(Number.isNaN(await t.item()), op);
}

// Refused before anything is enqueued, by name: the ranks stay in step.
const x = tensor([1, 2, 3], [3], { device });
const refusals: [() => void, object][] = [
  [
    () => communicator.reduceScatter(x, empty([2], { device })),
    { code: "ERR_SHAPE", message: `reduceScatter: input: expected ${size} * 2 elements, got 3` },
  ],
  [
    () => communicator.allGather(x, empty([5], { device })),
    { code: "ERR_SHAPE", message: `allGather: output: expected ${size} * 3 elements, got 5` },
  ],
  [
    () => communicator.allGather(x, empty([3 * size], { device, dtype: "int32" })),
    { code: "ERR_DTYPE" },
  ],
  [
    () => communicator.allReduce(tensor([1], [1], { device, dtype: "uint8" })),
    { code: "ERR_DTYPE", message: "allReduce: t: expected float32, bfloat16 or int32, got uint8" },
  ],
  [() => communicator.broadcast(x, size), { name: "RangeError" }],
  [() => communicator.broadcast(x, -1), { name: "RangeError" }],
];
for (const [call, expected] of refusals) assert.throws(call, expected);
if (device === "emulated")
  assert.throws(() => communicator.allReduce(tensor([1])), { code: "ERR_DEVICE" });

// The last one to come lets all go on.
const began = performance.now();
if (rank === size - 1) await new Promise((resolve) => setTimeout(resolve, 300));
await communicator.barrier();
assert.ok(performance.now() - began > 250);

await synchronize(device);
const { collectives, bytes, seconds } = communicator.stats();
assert.ok(collectives > 50 && bytes > 1e4 && seconds > 0);
await communicator.dispose();
await communicator.dispose();
console.log(`rank ${rank} of ${size} is right`);
