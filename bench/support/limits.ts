// What this device can do at most, measured in the run whose lines are held against it: the largest plain
// product, and a copy that no cache holds.
import { linear } from "../../ts/ops/index.js";
import type { Device } from "../../ts/tensor/device.js";
import { tensorScope } from "../../ts/tensor/scope.js";
import { zeros } from "../../ts/tensor/tensor.js";
import { deviceTimes } from "./device_time.js";
import { callOf, input } from "./inputs.js";
import type { Opponent } from "./opponent.js";
import type { Sizes } from "./sizes.js";

export interface Limits {
  /** Operations and bytes a second, the best of ours and the opponent's. */
  flops: number;
  bytes: number;
  /** Who had it: "ours", or the opponent. */
  of: { flops: string; bytes: string };
  /** Sizes that it was measured at. */
  product: number;
  copied: number;
}

const least = (times: readonly number[]): number => Math.min(...times);

/** Measures both. */
export async function measureLimits(
  device: Device,
  sizes: Sizes,
  opponent: Opponent | undefined,
): Promise<Limits> {
  const onGpu = device.startsWith("cuda");
  const n = sizes.name === "tiny" ? 64 : onGpu ? 8192 : 2048;
  const copied = sizes.name === "tiny" ? 1 << 16 : onGpu ? 2 ** 32 : 2 ** 28;
  const calls = sizes.name === "tiny" ? 2 : 10;
  const ours = { product: Infinity, copy: Infinity };
  {
    using scope = tensorScope();
    void scope;
    const product = callOf(
      (x, w) => linear(x, w),
      [input([n, n], "bfloat16"), input([n, n], "bfloat16")],
      { backward: false },
    );
    await deviceTimes(device, product, 2);
    ours.product = least(await deviceTimes(device, product, calls));
  }
  {
    using scope = tensorScope();
    void scope;
    const [from, to] = [0, 1].map(() => zeros([copied], { dtype: "uint8", device }));
    const copy = () => to!.copyFrom(from!);
    await deviceTimes(device, copy, 2);
    ours.copy = least(await deviceTimes(device, copy, calls));
  }
  const theirs = { product: Infinity, copy: Infinity };
  const linearSpec = { op: "linear", M: n, N: n, K: n, dtype: "bfloat16", bias: false };
  for (const [name, spec] of [
    ["product", linearSpec],
    ["copy", { op: "copy", bytes: copied }],
  ] as const) {
    if (opponent === undefined) break;
    await opponent.setUp(spec);
    await opponent.times(2);
    theirs[name] = least(await opponent.times(calls)) * 1e6;
  }
  const [product, copy] = [least([ours.product, theirs.product]), least([ours.copy, theirs.copy])];
  const who = (mine: number, best: number) => (mine === best ? "ours" : "torch");
  return {
    flops: (2 * n ** 3) / (product / 1e6),
    bytes: (2 * copied) / (copy / 1e6),
    of: { flops: who(ours.product, product), bytes: who(ours.copy, copy) },
    product: n,
    copied,
  };
}
