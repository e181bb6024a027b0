import { AdamW, type AdamWOptions } from "../../../ts/optim/adamw.js";
import { gradNorm } from "../../../ts/optim/clip.js";
import { synchronize } from "../../../ts/tensor/device.js";
import { tensorScope } from "../../../ts/tensor/scope.js";
import { bytesOf } from "../../../ts/tensor/dtype.js";
import type { BenchCase } from "../../support/case.js";
import { benchDevice, fillRandomly, input } from "../../support/inputs.js";
import type { Sizes } from "../../support/sizes.js";
import { zeros } from "../../../ts/tensor/tensor.js";

const n = 1 << 24;

export const cases: readonly BenchCase[] = (["float32", "bfloat16"] as const).map((dtype) => ({
  name: `adamwStep  ${dtype}  n=${n}`,
  why:
    dtype === "float32" ? "float32 weights" : "bf16 weights with a 16-bit remainder, the same bits",
  // Weights (with remainder), both moments: read and written; gradients: read.
  bytes: n * (2 * (dtype === "float32" ? bytesOf.float32 : 4) + 4 * 4 + 4),
  ...(dtype === "float32" ? { torch: { op: "adamw", n } } : {}),
  setUp: () => {
    const optimizer = new AdamW({ weights: input([n], dtype), gradients: input([n], "float32") });
    return async () => {
      {
        using scope = tensorScope();
        void scope;
        optimizer.step();
      }
      await synchronize("cpu");
    };
  },
}));

const forms: readonly {
  name: string;
  dtype: "float32" | "bfloat16";
  options: Partial<AdamWOptions>;
  /** Bytes of an element that are read and written: weights with remainder, both moments. */
  state: number;
}[] = [
  { name: "float32", dtype: "float32", options: {}, state: 4 + 8 },
  { name: "bfloat16 remainder, m v float32", dtype: "bfloat16", options: {}, state: 4 + 8 },
  {
    name: "bfloat16 remainder, m v bfloat16",
    dtype: "bfloat16",
    options: { moments: "bfloat16" },
    state: 4 + 4,
  },
  {
    name: "bfloat16 remainder, m v 8bit",
    dtype: "bfloat16",
    options: { moments: "8bit" },
    state: 4 + 2,
  },
  {
    name: "bfloat16 stochastic, m v 8bit",
    dtype: "bfloat16",
    options: { moments: "8bit", rounding: "stochastic" },
    state: 2 + 2,
  },
];

/** The update of a flat buffer of so many parameters, and the norm of its gradients. */
export const fluxCases = ({ parameters: n }: Sizes): readonly BenchCase[] => [
  ...forms.map(({ name, dtype, options, state }): BenchCase => ({
    name: `adamwStep  ${name}  n=${n}`,
    why: "the optimizer",
    bytes: n * (2 * state + bytesOf[dtype]),
    memory: n * (state + bytesOf[dtype]),
    ...(name === "float32" ? { torch: { op: "adamw", n } } : {}),
    setUp: () => {
      const device = benchDevice();
      const flat = {
        weights: zeros([n], { dtype, device }),
        gradients: zeros([n], { dtype, device }),
      };
      fillRandomly(flat.weights, 0.02);
      fillRandomly(flat.gradients, 1e-4);
      const optimizer = new AdamW(flat, options);
      return Object.assign(() => optimizer.step(), { dispose: () => optimizer.dispose() });
    },
  })),
  {
    name: `globalNorm  float32  n=${n}`,
    why: "of the gradients, for the clip",
    bytes: 4 * n,
    memory: 5 * n,
    torch: { op: "global_norm", n },
    setUp: () => {
      const gradients = zeros([n], { device: benchDevice() });
      fillRandomly(gradients, 1e-4);
      const flat = { weights: gradients, gradients };
      return () => {
        using scope = tensorScope();
        void scope;
        gradNorm(flat);
      };
    },
  },
];
