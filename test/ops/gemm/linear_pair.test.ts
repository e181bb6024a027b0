import { equal } from "uvu/assert";
import { backward } from "../../../ts/autograd/backward.js";
import {
  add,
  concat,
  linear,
  linearPair,
  mlp,
  mlpPair,
  mul,
  sum,
  type Activation,
} from "../../../ts/ops/index.js";
import type { Device } from "../../../ts/tensor/device.js";
import type { DType } from "../../../ts/tensor/dtype.js";
import type { Tensor } from "../../../ts/tensor/tensor.js";
import {
  assertRelative,
  assertSameBitsForThreads,
  checkBfloat16,
  checkGradients,
  forEachDevice,
  leaf,
  randn,
  refuses,
  toFloat64,
} from "../../support/index.js";

type Options = { dtype?: "float32" | "bfloat16"; device: Device; seed?: number };

/** x, w, b, residual, gate of a stream of S samples, L rows each. */
function linearOf([S, L, N, K]: readonly number[], { seed = 0, ...options }: Options): Tensor[] {
  return [
    randn([S!, L!, K!], { ...options, seed: seed + 1 }),
    randn([N!, K!], { ...options, seed: seed + 2, scale: 1 / Math.sqrt(K!) }),
    randn([N!], { ...options, seed: seed + 3 }),
    randn([S!, L!, N!], { ...options, seed: seed + 4 }),
    randn([S!, N!], { ...options, seed: seed + 5 }),
  ];
}
const named = ([x, w, b, residual, gate]: readonly Tensor[]) => ({
  x: x!,
  w: w!,
  b: b ?? null,
  residual: residual ?? null,
  gate: gate ?? null,
});

/** x, w1, b1, w2, b2, residual, gate of a stream. */
function mlpOf([S, L, K, H]: readonly number[], { seed = 0, ...options }: Options): Tensor[] {
  return [
    randn([S!, L!, K!], { ...options, seed: seed + 1 }),
    randn([H!, K!], { ...options, seed: seed + 2, scale: 1 / Math.sqrt(K!) }),
    randn([H!], { ...options, seed: seed + 3 }),
    randn([K!, H!], { ...options, seed: seed + 4, scale: 1 / Math.sqrt(H!) }),
    randn([K!], { ...options, seed: seed + 5 }),
    randn([S!, L!, K!], { ...options, seed: seed + 6 }),
    randn([S!, K!], { ...options, seed: seed + 7 }),
  ];
}
const layered = ([x, w1, b1, w2, b2, residual, gate]: readonly Tensor[]) => ({
  x: x!,
  up: [w1!, b1 ?? null] as const,
  down: [w2!, b2 ?? null] as const,
  residual: residual ?? null,
  gate: gate ?? null,
});

/** Both ways to compute two streams, of `each` tensors each. */
const kinds = {
  linear: {
    each: 5,
    of: linearOf,
    pair: (act: Activation, all: readonly Tensor[]) =>
      linearPair(named(all.slice(0, 5)), named(all.slice(5)), { act }),
    alone: (act: Activation, all: readonly Tensor[]) =>
      [all.slice(0, 5), all.slice(5)].map(([x, w, b, residual, gate]) =>
        linear(x!, w!, b, { act, residual: residual!, gate: gate! }),
      ),
  },
  mlp: {
    each: 7,
    of: mlpOf,
    pair: (act: Activation, all: readonly Tensor[]) =>
      mlpPair(layered(all.slice(0, 7)), layered(all.slice(7)), { act }),
    alone: (act: Activation, all: readonly Tensor[]) =>
      [all.slice(0, 7), all.slice(7)].map(([x, w1, b1, w2, b2, residual, gate]) =>
        mlp(x!, [w1!, b1!], [w2!, b2!], { act, residual: residual!, gate: gate! }),
      ),
  },
} as const;

for (const [name, { each, of, pair, alone }] of Object.entries(kinds))
  forEachDevice(`${name} pair`, (test, device) => {
    const dys = (ys: readonly Tensor[], dtype: DType) =>
      ys.map((y, i) => randn(y.shape, { dtype: dtype as "float32", device, seed: 90 + i }));
    /** Runs backward from both streams, or from those that `used` names. */
    const gradients = (
      fn: (all: readonly Tensor[]) => readonly Tensor[],
      all: readonly Tensor[],
      { dtype = "float32", used = [0, 1] }: { dtype?: DType; used?: readonly number[] } = {},
    ): Tensor[] => {
      const ys = fn(all);
      const ends = dys(ys, dtype);
      const totals = used.filter((i) => ys[i]!.requiresGrad).map((i) => sum(mul(ys[i]!, ends[i]!)));
      if (totals.length > 0) backward(totals.reduce((a, b) => add(a, b)));
      return [...ys];
    };
    const both = (first: readonly number[], second: readonly number[], options: Options) => [
      ...of(first, options),
      ...of(second, { ...options, seed: 10 }),
    ];

    for (const [act, first, second] of [
      ["gelu-tanh", [1, 1, 1, 1], [1, 1, 1, 1]],
      ["silu", [2, 5, 19, 33], [2, 3, 19, 33]],
      // Rows of whole 16 bytes: in bfloat16 the tensor cores' on cuda, in one launch where N and K agree.
      ["gelu-tanh", [2, 75, 136, 328], [2, 20, 136, 328]],
      ["none", [1, 64, 72, 64], [1, 200, 72, 64]],
      ["gelu-erf", [1, 70, 64, 136], [1, 70, 72, 264]],
    ] as const)
      test(`${act} [${first.join(", ")}] and [${second.join(", ")}]: as two alone`, async () => {
        for (const dtype of ["float32", "bfloat16"] as const) {
          const make = () => both(first, second, { dtype, device }).map(leaf);
          const [mine, theirs] = [make(), make()];
          const ys = gradients((all) => pair(act, all), mine, { dtype });
          const want = gradients((all) => alone(act, all), theirs, { dtype });
          // A product's bits depend on how its tiles are dealt out, on a card; nowhere else.
          const tolerance = device === "cpu" ? 0 : dtype === "float32" ? 1e-6 : 4e-3;
          for (const [i, y] of ys.entries())
            await assertRelative(y, (await toFloat64(want[i]!))[0], tolerance, `${dtype} y${i}`);
          for (const [i, t] of mine.entries())
            await assertRelative(
              t.grad!,
              (await toFloat64(theirs[i]!.grad!))[0],
              tolerance,
              `${dtype} gradient ${i}`,
            );
        }
      });

    test("gradients agree with central differences", async () => {
      const all = both([2, 5, 13, 19], [2, 3, 13, 19], { device });
      await checkGradients((...inputs) => {
        const [a, b] = pair("gelu-tanh", inputs);
        return add(sum(a), sum(b));
      }, all);
    });

    test("bfloat16 gradients agree with float32's", async () => {
      await checkBfloat16(
        (...inputs) => concat(pair("gelu-tanh", inputs), 1),
        both([2, 35, 64, 136], [2, 17, 64, 136], { device }),
      );
    });

    test("where one stream needs a gradient, or one is used, the other costs and gets none", async () => {
      const make = () => both([1, 9, 21, 13], [1, 6, 21, 13], { device });
      const whole = make().map(leaf);
      gradients((all) => pair("silu", all), whole);
      for (const [used, wanted] of [
        [[0], [...Array(2 * each).keys()]],
        [[1], [...Array(2 * each).keys()]],
        [[0, 1], [0]],
        [[0, 1], [each + 1]],
        [
          [0, 1],
          [1, each],
        ],
        [
          [0, 1],
          [each + 2, each - 1],
        ],
        [[0, 1], [each - 2]],
      ] as const) {
        const some = make().map((t, i) =>
          (wanted as readonly number[]).includes(i) ? leaf(t) : t,
        );
        gradients((all) => pair("silu", all), some, { used });
        for (const [i, t] of some.entries()) {
          const has =
            (wanted as readonly number[]).includes(i) &&
            (used as readonly number[]).includes(i < each ? 0 : 1);
          equal(t.grad !== undefined, has, `${i} of [${wanted.join(", ")}], ${used.join(", ")}`);
          if (t.grad === undefined) continue;
          await assertRelative(t.grad, (await toFloat64(whole[i]!.grad!))[0], 1e-6, `${i}`);
        }
      }
    });

    test("one weight of both streams has both gradients", async () => {
      const make = () => {
        const all = both([1, 70, 72, 64], [1, 66, 72, 64], { dtype: "bfloat16", device }).map(leaf);
        all[each + 1] = all[1]!;
        return all;
      };
      const [mine, theirs] = [make(), make()];
      gradients((all) => pair("none", all), mine, { dtype: "bfloat16" });
      gradients((all) => alone("none", all), theirs, { dtype: "bfloat16" });
      const [want] = await toFloat64(theirs[1]!.grad!);
      await assertRelative(mine[1]!.grad!, want, 4e-3, "dw");
    });

    test("same bits for any number of threads", async () => {
      for (const dtype of ["float32", "bfloat16"] as const)
        await assertSameBitsForThreads(() => {
          const all = both([2, 83, 77, 105], [2, 31, 77, 105], { dtype, device }).map(leaf);
          const ys = gradients((inputs) => pair("gelu-erf", inputs), all, { dtype });
          return [...ys, ...all.map((t) => t.grad!)];
        });
    });

    test("what does not fit is named", () => {
      const [one, two] = [of([1, 3, 5, 4], { device }), of([1, 2, 5, 4], { device, seed: 10 })];
      const wrong = [...two];
      wrong[1] = one[0]!;
      refuses(
        () => pair("silu", [...one, ...wrong]),
        "ERR_SHAPE",
        "linear: w: expected [N, K], got [1, 3, " + String(one[0]!.dim(2)) + "]",
      );
      const other = of([1, 2, 5, 4], { device, seed: 10, dtype: "bfloat16" });
      refuses(
        () => pair("silu", [...one, ...other]),
        "ERR_DTYPE",
        "linear: x: expected float32, got bfloat16",
      );
    });
  });
