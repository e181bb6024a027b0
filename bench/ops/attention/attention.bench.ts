// Attention against PyTorch's scaled_dot_product_attention on the same machine, in turns in one run:
//
//   node dist/bench/ops/attention/attention.bench.js [a word of the lines wanted]
//
// SRPO_BENCH_PYTHON names a python that has torch (default python3); without one only ours is timed.
import { spawn, spawnSync } from "node:child_process";
import path from "node:path";
import { createInterface } from "node:readline";
import { native } from "../../../ts/native/binding.js";
import { packageRoot } from "../../../ts/native/load.js";
import { gradients } from "../../../ts/autograd/backward.js";
import { attention } from "../../../ts/ops/index.js";
import { synchronize } from "../../../ts/tensor/device.js";
import type { DType } from "../../../ts/tensor/dtype.js";
import { tensorScope } from "../../../ts/tensor/scope.js";
import { leaf, randn } from "../../../test/support/tensors.js";

interface Case {
  why: string;
  q: [B: number, N: number, L: number, Dh: number];
  dtype: DType;
  backward: boolean;
}

const shapes: [why: string, q: Case["q"]][] = [
  ["CLIP-like heads", [1, 12, 1152, 64]],
  ["FLUX.1 at 512 px", [1, 24, 1152, 128]],
  ["micro world", [16, 4, 84, 32]],
  ["VAE middle", [1, 1, 1024, 512]],
];
const kRounds = 7;
const kRoundMs = 60;

/** PyTorch in a process of its own: each message is answered with one line. */
function opponent() {
  const python = process.env["SRPO_BENCH_PYTHON"] ?? "python3";
  if (spawnSync(python, ["-c", "import torch"]).status !== 0) return undefined;
  const script = path.join(packageRoot, "bench/ops/attention/attention_torch.py");
  const child = spawn(python, [script], {
    stdio: ["pipe", "pipe", "inherit"],
    env: { ...process.env, OMP_WAIT_POLICY: "PASSIVE" }, // its threads must not spin while ours work
  });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return {
    async ask(message: object): Promise<string> {
      child.stdin.write(`${JSON.stringify(message)}\n`);
      const { value, done } = await lines.next();
      if (done === true) throw new Error("the python process ended");
      return value;
    },
    end: () => child.stdin.end(),
  };
}

function setUp({ q: shape, dtype, backward: withBackward }: Case): () => Promise<void> {
  const [B, N, L, Dh] = shape;
  const inputs = [1, 2, 3].map((seed) => randn(shape, { dtype, seed }));
  const dout = randn([B, L, N * Dh], { dtype, seed: 4 });
  return async () => {
    {
      using scope = tensorScope();
      void scope;
      const leaves = withBackward ? inputs.map(leaf) : inputs;
      const out = attention(leaves[0]!, leaves[1]!, leaves[2]!);
      if (withBackward) gradients([out], [dout.handle], leaves);
    }
    await synchronize("cpu");
  };
}

async function secondsOfCall(run: () => Promise<void>, calls: number): Promise<number> {
  const begin = performance.now();
  for (let i = 0; i < calls; ++i) await run();
  return (performance.now() - begin) / 1000 / calls;
}

const median = (values: number[]) => Float64Array.from(values).sort()[values.length >> 1]!;

const torch = opponent();
const wanted = process.argv[2] ?? "";
console.log(`${native.cpuInstructionSet()}, ${native.cpuThreads()} threads`);
let greeted = false;
for (const [why, q] of shapes)
  for (const dtype of ["float32", "bfloat16"] as const)
    for (const withBackward of [false, true]) {
      const [B, N, L, Dh] = q;
      const name = `attention  ${dtype}  B=${B} N=${N} L=${L} Dh=${Dh} (${why})  ${withBackward ? "forward+backward" : "forward"}`;
      if (!name.includes(wanted)) continue;
      using scope = tensorScope();
      void scope;
      const run = setUp({ why, q, dtype, backward: withBackward });
      const greeting = await torch?.ask({ q, k: q, dtype, backward: withBackward });
      if (!greeted && greeting !== undefined) console.log(greeting);
      greeted = true;
      const first = await secondsOfCall(run, 2);
      const calls = Math.max(1, Math.round(kRoundMs / 1000 / first));
      await torch?.ask({ calls });
      const ours: number[] = [];
      const theirs: number[] = [];
      for (let round = 0; round < kRounds; ++round) {
        ours.push(await secondsOfCall(run, calls));
        if (torch) theirs.push(Number(await torch.ask({ calls })));
      }
      const flops = (withBackward ? 14 : 4) * B * N * L * L * Dh;
      const us = (seconds: number[]) => `${(median(seconds) * 1e6).toFixed(0)} us`;
      const ratio = torch
        ? `torch ${us(theirs)}  ratio ${median(theirs.map((t, i) => t / ours[i]!)).toFixed(2)} (of minima ${(Math.min(...theirs) / Math.min(...ours)).toFixed(2)})`
        : "";
      console.log(
        `${name}  ${us(ours)}  ${(flops / median(ours) / 1e9).toFixed(0)} GFLOP/s  ${ratio}`,
      );
    }
torch?.end();
