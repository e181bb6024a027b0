import { writeFileSync } from "node:fs";
import { Bench } from "tinybench";
import { native } from "../../ts/native/binding.js";
import { synchronize, type Device } from "../../ts/tensor/device.js";
import { Profiler } from "../../ts/profile/profiler.js";
import { traceOf } from "../../ts/profile/trace.js";
import { tensorScope } from "../../ts/tensor/scope.js";
import type { BenchCase, BenchOptions, BenchResult, Call } from "./case.js";
import { deviceTimes, stretchTime } from "./device_time.js";
import type { Limits } from "./limits.js";
import type { Opponent } from "./opponent.js";

export function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1]!;
}

/** Microseconds of a call with its wait, the median of `calls`. */
async function timed(call: Call, calls: number): Promise<number> {
  const bench = new Bench({ iterations: calls, time: 0, warmup: false });
  bench.add("call", async () => {
    await call();
    await synchronize("cpu");
  });
  await bench.run();
  const [task] = bench.tasks;
  const result = task?.result;
  // A task that throws does not throw here: without this a broken kernel would be a missing row.
  if (result === undefined || result.state !== "completed")
    throw new Error(`bench: a call failed: ${JSON.stringify(result)}`);
  return result.latency.p50 * 1000;
}

/** How a side is timed: microseconds of a call in one round of so many. */
interface Clock {
  ours(call: Call, calls: number): Promise<number>;
  theirs(opponent: Opponent, calls: number): Promise<number>;
}

const onWall: Clock = {
  ours: timed,
  theirs: async (opponent, calls) => (await opponent.stretch(calls)) * 1e6,
};

/** On a device each call by its clock; models and more in a stretch, by the wall. */
const onDevice = (device: Device, stretch: boolean): Clock =>
  stretch
    ? {
        ours: (call, calls) => stretchTime(device, call, calls),
        theirs: async (opponent, calls) => (await opponent.stretch(calls)) * 1e6,
      }
    : {
        ours: async (call, calls) => median(await deviceTimes(device, call, calls)),
        theirs: async (opponent, calls) => median(await opponent.times(calls)) * 1e6,
      };

function resultOf(
  one: BenchCase,
  ours: readonly number[],
  theirs: readonly number[],
  variant: string | undefined,
  limits: Limits | undefined,
): BenchResult {
  const time = median(ours);
  const rate = one.flops ?? one.bytes;
  const most = one.flops === undefined ? limits?.bytes : limits?.flops;
  return {
    name: one.name,
    why: one.why,
    microseconds: { median: time, minimum: Math.min(...ours) },
    ...(one.flops === undefined ? {} : { gflops: one.flops / time / 1000 }),
    ...(one.bytes === undefined ? {} : { gigabytesPerSecond: one.bytes / time / 1000 }),
    ...(rate === undefined || most === undefined ? {} : { share: rate / (time / 1e6) / most }),
    ...(theirs.length === 0
      ? {}
      : {
          torch: {
            ...(variant === undefined ? {} : { variant }),
            microseconds: median(theirs),
            ratio: median(theirs.map((t, i) => t / ours[i]!)),
            ratioOfMinima: Math.min(...theirs) / Math.min(...ours),
          },
        }),
  };
}

/** Where a run is, where that is not the cpu with its own small shapes. */
export interface OnDevice {
  device: Device;
  limits: Limits;
  /** Bytes of the device. */
  memory: number;
  /** File for the timeline of a case's last call; undefined for none. */
  trace?: (() => string) | undefined;
}

/** One call more, every op and kernel of it written down. */
async function traceCall(call: Call, { name }: BenchCase, device: Device, file: string) {
  const profiler = await Profiler.start(device);
  await call();
  const taken = await profiler.stop();
  writeFileSync(file, JSON.stringify(traceOf(taken, { case: name, device })));
}

/** Times a case, in turns with the opponent, so that a noisy machine disturbs both alike. */
export async function runCase(
  one: BenchCase,
  opponent: Opponent | undefined,
  { rounds, roundMs }: BenchOptions,
  on?: OnDevice,
): Promise<BenchResult> {
  const { name, why } = one;
  if (on !== undefined && one.memory !== undefined && one.memory > on.memory) {
    const gigabytes = (bytes: number) => `${(bytes / 1e9).toFixed(1)} GB`;
    return {
      name,
      why,
      skipped: `needs ${gigabytes(one.memory)}, the device has ${gigabytes(on.memory)}`,
    };
  }
  using scope = tensorScope();
  void scope;
  const clock = on === undefined ? onWall : onDevice(on.device, one.stretch === true);
  const call = await one.setUp();
  try {
    await clock.ours(call, 1);
    const first = await clock.ours(call, 1);
    const calls = Math.max(1, Math.min(200, Math.round((roundMs * 1000) / first)));
    const against = one.torch === undefined ? undefined : opponent;
    const variant = await against?.setUp(one.torch!);
    if (against !== undefined) await clock.theirs(against, Math.min(calls, 3));
    const ours: number[] = [];
    const theirs: number[] = [];
    for (let round = 0; round < rounds; ++round) {
      ours.push(await clock.ours(call, calls));
      if (against !== undefined) theirs.push(await clock.theirs(against, calls));
    }
    if (on?.trace !== undefined) await traceCall(call, one, on.device, on.trace());
    return resultOf(one, ours, theirs, on === undefined ? undefined : variant, on?.limits);
  } finally {
    call.dispose?.();
    // Another case may need it all, of either side.
    if (one.torch !== undefined) await opponent?.clear();
    if (on !== undefined) native.poolTrim(on.device);
  }
}

/** "linear  float32 ...  812 us  1323 GFLOP/s  torch 1020 us  1.26 x" */
export function lineOf(result: BenchResult): string {
  const { name, microseconds, gflops, gigabytesPerSecond, share, copy, torch } = result;
  if (microseconds === undefined)
    return `${name.padEnd(64)}  ${result.skipped ?? result.error ?? ""}`;
  const time = (us: number) =>
    us >= 10_000 ? `${(us / 1000).toFixed(1)} ms` : `${us.toFixed(us < 100 ? 1 : 0)} us`;
  const per = (rate: number, unit: string) =>
    rate >= 10_000 ? `${(rate / 1000).toFixed(1)} T${unit}` : `${rate.toFixed(1)} G${unit}`;
  const variant = torch?.variant === undefined ? "" : ` ${torch.variant}`;
  return [
    name.padEnd(64),
    time(microseconds.median).padStart(9),
    gflops === undefined ? "" : per(gflops, "FLOP/s").padStart(14),
    gigabytesPerSecond === undefined ? "" : per(gigabytesPerSecond, "B/s").padStart(11),
    share === undefined ? "" : `${(100 * share).toFixed(1)} %`.padStart(7),
    copy === undefined ? "" : `${copy.ratio.toFixed(2)} of copy`,
    torch === undefined
      ? ""
      : `torch${variant} ${time(torch.microseconds).padStart(9)}  ${torch.ratio.toFixed(2)} x`,
  ]
    .filter((part) => part !== "")
    .join("  ");
}
