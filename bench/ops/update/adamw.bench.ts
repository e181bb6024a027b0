import { AdamW } from "../../../ts/optim/adamw.js";
import { synchronize } from "../../../ts/tensor/device.js";
import { tensorScope } from "../../../ts/tensor/scope.js";
import { bytesOf } from "../../../ts/tensor/dtype.js";
import type { BenchCase } from "../../support/case.js";
import { input } from "../../support/inputs.js";

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
