import { Bench } from "tinybench";
import { tensorScope } from "../../ts/tensor/scope.js";
import type { BenchCase, BenchOptions, BenchResult } from "./case.js";
import type { Opponent } from "./opponent.js";

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1]!;
}

/** Microseconds of a call, the median of `calls`. */
async function timed(call: () => Promise<void>, calls: number): Promise<number> {
  const bench = new Bench({ iterations: calls, time: 0, warmup: false });
  bench.add("call", call);
  await bench.run();
  const [task] = bench.tasks;
  const result = task?.result;
  // A task that throws does not throw here: without this a broken kernel would be a missing row.
  if (result === undefined || result.state !== "completed")
    throw new Error(`bench: a call failed: ${JSON.stringify(result)}`);
  return result.latency.p50 * 1000;
}

/** Times a case, in turns with the opponent, so that a noisy machine disturbs both alike. */
export async function runCase(
  one: BenchCase,
  opponent: Opponent | undefined,
  { rounds, roundMs }: BenchOptions,
): Promise<BenchResult> {
  using scope = tensorScope();
  void scope;
  const call = one.setUp();
  await call();
  const first = await timed(call, 1);
  const calls = Math.max(1, Math.min(200, Math.round((roundMs * 1000) / first)));
  const against = one.torch === undefined ? undefined : opponent;
  await against?.ask({ setUp: one.torch });
  await against?.ask({ calls: Math.min(calls, 3) });
  const ours: number[] = [];
  const theirs: number[] = [];
  for (let round = 0; round < rounds; ++round) {
    ours.push(await timed(call, calls));
    if (against !== undefined) theirs.push(Number(await against.ask({ calls })) * 1e6);
  }
  const time = median(ours);
  return {
    name: one.name,
    why: one.why,
    microseconds: { median: time, minimum: Math.min(...ours) },
    ...(one.flops === undefined ? {} : { gflops: one.flops / time / 1000 }),
    ...(one.bytes === undefined ? {} : { gigabytesPerSecond: one.bytes / time / 1000 }),
    ...(against === undefined
      ? {}
      : {
          torch: {
            microseconds: median(theirs),
            ratio: median(theirs.map((t, i) => t / ours[i]!)),
            ratioOfMinima: Math.min(...theirs) / Math.min(...ours),
          },
        }),
  };
}

/** "linear  float32 ...  812 us  1323 GFLOP/s  torch 1020 us  1.26 x" */
export function lineOf(result: BenchResult): string {
  const time = (us: number) =>
    us >= 10_000 ? `${(us / 1000).toFixed(1)} ms` : `${us.toFixed(0)} us`;
  return [
    result.name.padEnd(64),
    time(result.microseconds.median).padStart(9),
    result.gflops === undefined ? "" : `${result.gflops.toFixed(0)} GFLOP/s`.padStart(13),
    result.gigabytesPerSecond === undefined
      ? ""
      : `${result.gigabytesPerSecond.toFixed(1)} GB/s`.padStart(11),
    result.copy === undefined ? "" : `${result.copy.ratio.toFixed(2)} of copy`,
    result.torch === undefined
      ? ""
      : `torch ${time(result.torch.microseconds).padStart(9)}  ${result.torch.ratio.toFixed(2)} x`,
  ]
    .filter((part) => part !== "")
    .join("  ");
}
