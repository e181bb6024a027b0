// Kernels at the shapes of FLUX.1-dev on a GPU, with torch's beside them:
//
//   node dist/bench/device/kernels.js FILTER [--device cuda:0] [--python python3]
//
// A line of JSON a case. A case that fails is named, and ends the process if the card is lost.
import { parseArgs } from "node:util";
import {
  attention,
  conv2d,
  conv2dWithStatistics,
  groupNorm,
  linear,
  modulatedLayerNorm,
} from "../../ts/ops/index.js";
import { hasDevice, synchronize, type Device } from "../../ts/tensor/device.js";
import { tensorScope } from "../../ts/tensor/scope.js";
import type { BenchCase } from "../support/case.js";
import { callOf, input, setBenchDevice } from "../support/inputs.js";
import { torchOpponent, type Opponent } from "../support/opponent.js";

const dtype = "bfloat16";
const directions = [false, true];
const way = (backward: boolean): string => (backward ? "forward+backward" : "forward");

const products = [
  { M: 8192, N: 8192, K: 8192, why: "the ceiling" },
  { M: 2025, N: 9216, K: 3072, why: "image qkv, 720 x 720" },
  { M: 512, N: 9216, K: 3072, why: "text qkv" },
  { M: 2025, N: 3072, K: 3072, why: "image projection" },
  { M: 2025, N: 12288, K: 3072, act: "gelu-tanh", why: "image MLP up" },
  { M: 2025, N: 3072, K: 12288, why: "image MLP down" },
  { M: 2537, N: 21504, K: 3072, why: "a single block's first" },
  { M: 2537, N: 3072, K: 15360, why: "a single block's second" },
  { M: 4608, N: 3072, K: 15360, why: "the same, 1024 x 1024" },
  { M: 27, N: 18432, K: 3072, why: "a block's modulation for a whole rollout" },
] as const;

function linears(): BenchCase[] {
  return products.flatMap(({ M, N, K, why, ...rest }) =>
    directions.map((backward) => ({
      name: `linear  M=${M} N=${N} K=${K}  ${way(backward)}`,
      why,
      flops: 2 * M * N * K * (backward ? 3 : 1),
      torch: { op: "linear", M, N, K, dtype, backward, ...rest },
      setUp: () =>
        callOf(
          (x, w, b) => linear(x, w, b, rest),
          [input([M, K], dtype), input([N, K], dtype), input([N], dtype)],
          { backward },
        ),
    })),
  );
}

function attentions(): BenchCase[] {
  return [2537, 4608].flatMap((L) =>
    directions.map((backward) => {
      const q = [1, 24, L, 128];
      return {
        name: `attention  L=${L} N=24 Dh=128  ${way(backward)}`,
        why: L === 2537 ? "720 x 720" : "1024 x 1024",
        flops: (backward ? 14 : 4) * 24 * L * L * 128,
        torch: { op: "attention", q, dtype, backward },
        setUp: () =>
          callOf(
            (a, b, c) => attention(a, b, c),
            [input(q, dtype), input(q, dtype), input(q, dtype)],
            { backward },
          ),
      };
    }),
  );
}

function norms(): BenchCase[] {
  const x = [1, 2537, 3072];
  return directions.map((backward) => ({
    name: `modulatedLayerNorm  L=2537 D=3072  ${way(backward)}`,
    why: "720 x 720",
    bytes: (backward ? 5 : 2) * 2537 * 3072 * 2,
    torch: { op: "layer_norm", x, dtype, backward },
    setUp: () =>
      callOf(
        (t, scale, shift) => modulatedLayerNorm(t, scale, shift),
        [input(x, dtype), input([1, 3072], dtype), input([1, 3072], dtype)],
        { backward },
      ),
  }));
}

const pictures = [
  { x: [1, 90, 90, 512], out: 512, why: "the VAE near the latents, 720 x 720" },
  { x: [1, 360, 360, 256], out: 256, why: "the VAE half way" },
  { x: [1, 720, 720, 128], out: 128, why: "the VAE near the picture" },
] as const;

function convolutions(): BenchCase[] {
  return pictures.flatMap(({ x, out, why }) =>
    directions.flatMap((backward): BenchCase[] => {
      const [B, H, W, C] = x;
      return [
        {
          name: `conv2d  [${x.join(",")}]->${out} 3x3  ${way(backward)}`,
          why,
          flops: 2 * B * H * W * C * out * 9 * (backward ? 3 : 1),
          torch: { op: "conv2d", x, out, kernel: 3, dtype, backward },
          setUp: () =>
            callOf(
              (t, w, b) => conv2d(t, w, b),
              [input(x, dtype), input([out, 3, 3, C], dtype), input([out], dtype)],
              { backward },
            ),
        },
        {
          name: `groupNorm+silu  [${x.join(",")}]  ${way(backward)}`,
          why,
          bytes: (backward ? 5 : 2) * B * H * W * C * 2,
          torch: { op: "group_norm", x, groups: 32, dtype, backward },
          setUp: () =>
            callOf(
              (t, w, b) => groupNorm(t, w, b, { groups: 32, act: "silu" }),
              [input(x, dtype), input([C], dtype), input([C], dtype)],
              { backward },
            ),
        },
      ];
    }),
  );
}

/** What a resnet of the VAE runs: the norm reads what the convolution wrote, and its statistics. */
function convolutionsBeforeNorms(): BenchCase[] {
  return pictures.map(({ x, out, why }) => {
    const [B, H, W, C] = x;
    return {
      name: `conv2d and the norm behind it  [${x.join(",")}]->${out} 3x3  forward`,
      why: `${why}, statistics from the convolution`,
      flops: 2 * B * H * W * C * out * 9,
      setUp: () =>
        callOf(
          (t, w, b) => {
            const { y, statistics } = conv2dWithStatistics(t, w, b, { groups: 32 });
            return groupNorm(y, b, b, { groups: 32, act: "silu", statistics });
          },
          [input(x, dtype), input([out, 3, 3, C], dtype), input([out], dtype)],
          { backward: false },
        ),
    };
  });
}

export const kernelCases = (): BenchCase[] => [
  ...linears(),
  ...attentions(),
  ...norms(),
  ...convolutions(),
  ...convolutionsBeforeNorms(),
];

/** Seconds of one call: many enqueued, then one wait. */
async function timed(call: () => Promise<void>, calls: number, device: Device): Promise<number> {
  await synchronize(device);
  const started = performance.now();
  for (let i = 0; i < calls; ++i) await call();
  await synchronize(device);
  return (performance.now() - started) / 1000 / calls;
}

const median = (values: readonly number[]): number =>
  values.toSorted((a, b) => a - b)[values.length >> 1]!;

async function measure(one: BenchCase, device: Device, opponent: Opponent | undefined) {
  using scope = tensorScope();
  void scope;
  const call = one.setUp();
  await timed(call, 2, device);
  const calls = Math.max(2, Math.min(200, Math.round(0.1 / (await timed(call, 2, device)))));
  if (one.torch !== undefined) await opponent?.ask({ setUp: one.torch });
  await opponent?.ask({ calls: 3 });
  const ours: number[] = [];
  const theirs: number[] = [];
  for (let round = 0; round < 5; ++round) {
    ours.push(await timed(call, calls, device));
    if (opponent !== undefined) theirs.push(Number(await opponent.ask({ calls })));
  }
  const seconds = median(ours);
  return {
    name: one.name,
    why: one.why,
    microseconds: seconds * 1e6,
    ...(one.flops === undefined ? {} : { teraflops: one.flops / seconds / 1e12 }),
    ...(one.bytes === undefined ? {} : { terabytesPerSecond: one.bytes / seconds / 1e12 }),
    ...(theirs.length === 0
      ? {}
      : {
          torch: {
            microseconds: median(theirs) * 1e6,
            ratio: median(theirs.map((t, i) => t / ours[i]!)),
          },
        }),
  };
}

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      device: { type: "string", default: "cuda:0" },
      python: { type: "string", default: "python3" },
    },
  });
  const device = values.device as Device;
  if (!hasDevice(device)) {
    process.stderr.write(`kernels: device: expected one that is there, got ${device}\n`);
    return 1;
  }
  setBenchDevice(device);
  const opponent = await torchOpponent(values.python, device).catch(() => undefined);
  process.stdout.write(`${JSON.stringify({ opponent: opponent?.greeting ?? "none" })}\n`);
  let failed = 0;
  for (const one of kernelCases()) {
    if (positionals[0] !== undefined && !one.name.startsWith(positionals[0])) continue;
    try {
      process.stdout.write(`${JSON.stringify(await measure(one, device, opponent))}\n`);
    } catch (error) {
      ++failed;
      const why = error instanceof Error ? error.message : String(error);
      process.stdout.write(`${JSON.stringify({ name: one.name, error: why })}\n`);
    }
  }
  opponent?.end();
  return failed === 0 ? 0 : 1;
}

process.exitCode = await main();
