// The memory-bound ops against a plain copy of the same bytes in the same run:
//
//   node dist/bench/ops/elementwise/bandwidth.bench.js [part of a name] [threads]
//
// A line: op, dtype, shape, microseconds, GB/s of the bytes that any implementation must move, and
// the share of the copy's GB/s. The machine may be shared: the best of some rounds is what counts.
import { native, type Handle } from "../../../ts/native/binding.js";
import { synchronize } from "../../../ts/tensor/device.js";
import { bytesOf, type DType } from "../../../ts/tensor/dtype.js";
import { tensorScope } from "../../../ts/tensor/scope.js";
import { zeros } from "../../../ts/tensor/tensor.js";

// FLUX.1-dev at 720 x 720: 512 text tokens + 45 x 45 image tokens.
const [B, L, D] = [1, 2537, 3072];
const kRounds = 15;

interface Call {
  name: string;
  /** How many times B * L * D elements are read or written. */
  passes: number;
  run: () => void;
}

function calls(dtype: DType): Call[] {
  const full = (value: number): Handle => {
    const t = zeros([B, L, D], { dtype });
    native.fill(t.handle, value);
    return t.handle;
  };
  const vector = (shape: readonly number[], of: DType): Handle =>
    zeros(shape, { dtype: of }).handle;
  const [x, y] = [full(0.7), full(-0.3)];
  const [scale, w] = [vector([B, D], dtype), vector([D], dtype)];
  const [dw, db] = [vector([D], "float32"), vector([D], "float32")];
  const [, mean, rstd] = native.layerNormForward(x, w, w, 1e-5);
  const [, means, rstds] = native.modulatedLayerNormForward(x, scale, scale, 1e-6);
  return [
    { name: "copy", passes: 2, run: () => native.tensorCopy(y, x) },
    { name: "add", passes: 3, run: () => native.addForward(x, y) },
    { name: "mul", passes: 3, run: () => native.mulForward(x, y) },
    { name: "combine", passes: 3, run: () => native.combineForward(x, y, [0.3], [0.7], dtype) },
    { name: "gatedResidual", passes: 3, run: () => native.gatedResidualForward(x, scale, y) },
    { name: "silu", passes: 2, run: () => native.siluForward(x) },
    { name: "gelu tanh", passes: 2, run: () => native.geluTanhForward(x) },
    { name: "gelu tanh backward", passes: 3, run: () => native.geluTanhBackward(y, x) },
    { name: "gelu erf", passes: 2, run: () => native.geluErfForward(x) },
    { name: "layerNorm", passes: 2, run: () => native.layerNormForward(x, w, w, 1e-5) },
    {
      name: "layerNorm backward",
      passes: 3,
      run: () => native.layerNormBackward(dw, db, y, x, w, mean, rstd, true),
    },
    { name: "rmsNorm", passes: 2, run: () => native.rmsNormForward(x, w, 1e-6) },
    {
      name: "modulatedLayerNorm",
      passes: 2,
      run: () => native.modulatedLayerNormForward(x, scale, scale, 1e-6),
    },
    {
      name: "modulatedLayerNorm backward",
      passes: 3,
      run: () => native.modulatedLayerNormBackward(y, x, scale, means, rstds),
    },
  ];
}

/** Seconds of the fastest of some calls. */
async function best(run: () => void): Promise<number> {
  let least = Infinity;
  for (let round = 0; round < kRounds; ++round) {
    using scope = tensorScope();
    void scope;
    const begin = performance.now();
    run();
    await synchronize("cpu");
    least = Math.min(least, performance.now() - begin);
  }
  return least / 1000;
}

const [wanted = "", threads] = process.argv.slice(2);
if (threads !== undefined) native.cpuSetThreads(Number(threads));
await synchronize("cpu"); // the pool is resized in the order of the stream
console.log(`${native.cpuInstructionSet()}, ${native.cpuThreads()} threads, B=${B} L=${L} D=${D}`);
for (const dtype of ["float32", "bfloat16"] as const) {
  using scope = tensorScope();
  void scope;
  let copy = 0;
  for (const { name, passes, run } of calls(dtype)) {
    if (name !== "copy" && !name.includes(wanted)) continue;
    const seconds = await best(run);
    const rate = (passes * B * L * D * bytesOf[dtype]) / seconds / 1e9;
    if (name === "copy") copy = rate;
    const parts = [
      name.padEnd(28),
      dtype.padEnd(9),
      `${(seconds * 1e6).toFixed(0)} us`.padStart(9),
      `${rate.toFixed(1)} GB/s`.padStart(11),
      `${(rate / copy).toFixed(2)} of copy`,
    ];
    console.log(parts.join(" "));
  }
}
