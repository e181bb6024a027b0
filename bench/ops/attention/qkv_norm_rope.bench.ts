// qkvNormRope against a copy of the same bytes (memory bounds it), in turns in one run:
//
//   node dist/bench/ops/attention/qkv_norm_rope.bench.js
import { native } from "../../../ts/native/binding.js";
import { gradients } from "../../../ts/autograd/backward.js";
import { qkvNormRope, ropeTable } from "../../../ts/ops/index.js";
import { synchronize } from "../../../ts/tensor/device.js";
import { tensorScope } from "../../../ts/tensor/scope.js";
import { empty } from "../../../ts/tensor/tensor.js";
import { leaf, randn } from "../../../test/support/tensors.js";

const shapes: [why: string, Ltxt: number, Limg: number, N: number, Dh: number][] = [
  ["FLUX.1 at 512 px", 128, 1024, 24, 128],
  ["micro world", 20, 64, 4, 32],
];

async function seconds(run: () => void): Promise<number> {
  let best = Infinity;
  for (let round = 0; round < 9; ++round) {
    const begin = performance.now();
    {
      using scope = tensorScope();
      void scope;
      run();
    }
    await synchronize("cpu");
    best = Math.min(best, (performance.now() - begin) / 1000);
  }
  return best;
}

console.log(`${native.cpuInstructionSet()}, ${native.cpuThreads()} threads`);
for (const [why, Ltxt, Limg, N, Dh] of shapes)
  for (const dtype of ["float32", "bfloat16"] as const) {
    using scope = tensorScope();
    void scope;
    const L = Ltxt + Limg;
    const rope = ropeTable(
      Array.from({ length: L }, (_, l) => [l]),
      [Dh],
      10000,
    );
    const [qScale, kScale] = [randn([Dh], { dtype }), randn([Dh], { dtype })];
    const streams = [Ltxt, Limg].map((length) => ({
      qkv: leaf(randn([1, length, 3 * N * Dh], { dtype })),
      qScale,
      kScale,
    }));
    const d = [1, 2, 3].map((seed) => randn([1, N, L, Dh], { dtype, seed }));
    const elements = 3 * L * N * Dh;
    const bytes = 2 * elements * (dtype === "float32" ? 4 : 2);
    const [from, to] = [randn([elements], { dtype }), empty([elements], { dtype })];
    const copy = await seconds(() => to.copyFrom(from));
    const forward = await seconds(() => qkvNormRope(streams, { heads: N, rope }));
    const both = await seconds(() => {
      const outputs = qkvNormRope(streams, { heads: N, rope });
      gradients(
        outputs,
        d.map((t) => t.handle),
        streams.map(({ qkv }) => qkv),
      );
    });
    for (const [direction, time, moved] of [
      ["forward", forward, bytes],
      ["forward+backward", both, 2.5 * bytes],
    ] as const)
      console.log(
        `qkvNormRope  ${dtype}  L=${Ltxt}+${Limg} N=${N} Dh=${Dh} (${why})  ${direction}  ` +
          `${(time * 1e6).toFixed(0)} us  ${(moved / time / 1e9).toFixed(1)} GB/s  ` +
          `${((moved / bytes) * (copy / time)).toFixed(2)} of copy`,
      );
  }
