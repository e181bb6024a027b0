// The optimizer's passes over flat buffers, against a plain copy on the same machine: all of them are
// bound by memory.
//
//   node dist/bench/ops/update/update.bench.js
import { native } from "../../../ts/native/binding.js";
import {
  adamwStep,
  cast,
  emaUpdate,
  globalNorm,
  momentBlock,
  purposes,
  randn,
} from "../../../ts/ops/index.js";
import { synchronize } from "../../../ts/tensor/device.js";
import { zeros } from "../../../ts/tensor/tensor.js";

const n = 1 << 24; // 64 MiB of float32: beyond every cache
const rounds = 7;

const draw = (sample: number) => randn([n], { seed: 1n, purpose: purposes.free, step: 0, sample });
const [weights, grad] = [draw(0), draw(1)];
const [m, v, ema] = [zeros([n]), zeros([n]), zeros([n])];
const half = cast(weights, "bfloat16");
const remainder = zeros([n, 2], { dtype: "uint8" });
const recipe = { lr: 5e-6, beta1: 0.9, beta2: 0.999, eps: 1e-8, weightDecay: 1e-4, step: 1 };

const halfGrad = cast(grad, "bfloat16");
const [factorRows, matrixRows] = [64, 4096];
const factors = {
  dy: halfGrad.viewOf(0, [factorRows, matrixRows]),
  x: halfGrad.viewOf(0, [factorRows, n / matrixRows]),
};
const random = { seed: 1n };
const rounded = { weights: half, stochastic: random, momentRounding: random };
const moments = (dtype: "bfloat16" | "uint8") => ({
  m: zeros([n], { dtype }),
  v: zeros([n], { dtype }),
});
const scales = () => zeros([n / momentBlock], { dtype: "uint8" });
const inHalf = moments("bfloat16");
const inBytes = { ...moments("uint8"), mScale: scales(), vScale: scales() };

/** Name, bytes that any implementation must move an element, and the call. */
const cases: [name: string, leastBytes: number, run: () => void][] = [
  ["copy", 8, () => ema.copyFrom(weights)],
  ["adamwStep  float32", 28, () => adamwStep({ ...recipe, weights, m, v, grad })],
  [
    "adamwStep  bfloat16 and remainder",
    28,
    () => adamwStep({ ...recipe, weights: half, remainder, m, v, grad }),
  ],
  [
    "adamwStep  bfloat16 rounded, bfloat16 moments and gradients",
    14,
    () => adamwStep({ ...recipe, ...rounded, ...inHalf, grad: halfGrad }),
  ],
  [
    "adamwStep  bfloat16 rounded, 8-bit moments, bfloat16 gradients",
    10,
    () => adamwStep({ ...recipe, ...rounded, ...inBytes, grad: halfGrad }),
  ],
  [
    "adamwStep  bfloat16 rounded, 8-bit moments, factors of 64 samples",
    8,
    () => adamwStep({ ...recipe, ...rounded, ...inBytes, factors }),
  ],
  ["emaUpdate  float32", 12, () => emaUpdate(ema, weights, { decay: 0.999 })],
  ["globalNorm  float32", 4, () => globalNorm(grad).dispose()],
  ["randn  float32", 4, () => draw(2).dispose()],
];

console.log(`${native.cpuInstructionSet()}, ${native.cpuThreads()} threads, n = ${n}`);
let copy = 0; // GB/s
for (const [name, leastBytes, run] of cases) {
  run();
  await synchronize("cpu");
  const seconds = [];
  for (let round = 0; round < rounds; ++round) {
    const begin = performance.now();
    run();
    await synchronize("cpu");
    seconds.push((performance.now() - begin) / 1000);
  }
  const median = seconds.sort((a, b) => a - b)[rounds >> 1]!;
  const rate = (leastBytes * n) / median / 1e9;
  copy ||= rate;
  const time = `${(median * 1e3).toFixed(1)} ms, least ${(seconds[0]! * 1e3).toFixed(1)}`;
  console.log(`${name}  ${time}  ${rate.toFixed(1)} GB/s  ${(rate / copy).toFixed(2)} of copy`);
}
