// One rank of `bench ranks`, a process of mpirun's: times every collective, in turns with a copy of the same
// tensor by all ranks at once. Rank 0 writes a line of JSON a case.
import { openCommunicator } from "../../ts/ranks/open.js";
import { readPlace } from "../../ts/ranks/place.js";
import { synchronize } from "../../ts/tensor/device.js";
import { bytesOf, type DType } from "../../ts/tensor/dtype.js";
import { tensorScope } from "../../ts/tensor/scope.js";
import { empty, zeros } from "../../ts/tensor/tensor.js";
import type { RanksLine } from "./ranks.js";

const rounds = Number(process.argv[2] ?? 5);
const communicator = await openCommunicator(readPlace(), "cpu");
const { rank, size } = communicator;

/** Microseconds of what is enqueued, from the moment when every rank has come. */
async function timed(enqueue: () => void): Promise<number> {
  await communicator.barrier();
  const started = performance.now();
  enqueue();
  await synchronize("cpu");
  return (performance.now() - started) * 1000;
}

/** The slowest rank's: a collective has ended when it has on all. */
async function measure(
  op: string,
  dtype: DType,
  elements: number,
  sentOf: (bytes: number) => number,
  prepare: () => () => void,
): Promise<void> {
  using scope = tensorScope();
  void scope;
  const call = prepare();
  const [from, to] = [zeros([elements], { dtype }), empty([elements], { dtype })];
  const times: number[] = [];
  const copies: number[] = [];
  for (let round = -1; round < rounds; ++round) {
    const [time, copy] = [await timed(call), await timed(() => to.copyFrom(from))];
    if (round < 0) continue; // the first one finds cold memory
    times.push(time);
    copies.push(copy);
  }
  const bytes = elements * bytesOf[dtype];
  const line: RanksLine = { op, dtype, ranks: size, bytes, sent: sentOf(bytes), times, copies };
  if (rank === 0) process.stdout.write(`${JSON.stringify(line)}\n`);
}

const share = (size - 1) / size;
for (const mebibytes of [64, 1])
  for (const dtype of ["float32", "bfloat16"] as const) {
    const n = (mebibytes << 20) / bytesOf[dtype];
    const part = n / size;
    const whole = () => zeros([n], { dtype });
    const own = () => zeros([part], { dtype });
    await measure(
      "allReduce",
      dtype,
      n,
      (bytes) => 2 * share * bytes,
      () => {
        const t = whole();
        return () => communicator.allReduce(t);
      },
    );
    await measure(
      "reduceScatter",
      dtype,
      n,
      (bytes) => share * bytes,
      () => {
        const [input, output] = [whole(), own()];
        return () => communicator.reduceScatter(input, output);
      },
    );
    await measure(
      "allGather",
      dtype,
      n,
      (bytes) => share * bytes,
      () => {
        const [input, output] = [own(), whole()];
        return () => communicator.allGather(input, output);
      },
    );
  }
// The cost of a word: what a norm or a flag that the ranks agree on takes.
await measure(
  "allReduce",
  "float32",
  1,
  (bytes) => bytes,
  () => {
    const t = zeros([1]);
    return () => communicator.allReduce(t);
  },
);
await communicator.dispose();
