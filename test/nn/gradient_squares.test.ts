import assert from "node:assert/strict";
import { backward } from "../../ts/autograd/backward.js";
import { recompute } from "../../ts/autograd/recompute.js";
import { linearParameters } from "../../ts/nn/parameter.js";
import { ParameterSet } from "../../ts/nn/parameter_set.js";
import { add, globalNorm, linear, mlp } from "../../ts/ops/index.js";
import { clipGradNorm, gradNorm } from "../../ts/optim/clip.js";
import type { Device } from "../../ts/tensor/device.js";
import type { Tensor } from "../../ts/tensor/tensor.js";
import { assertRelative, forEachDevice, randn } from "../support/index.js";

// The second is no matrix that is kept: it is too small.
const declared = [
  ...linearParameters("a", 72, 136),
  ...linearParameters("small", 24, 72),
  ...linearParameters("b", 136, 128),
];

type Dtypes = { dtype: "float32" | "bfloat16"; gradDtype: "float32" | "bfloat16" };

function set(device: Device, dtypes: Dtypes, factored?: string): ParameterSet {
  const made = ParameterSet.create(declared, {
    ...dtypes,
    device,
    trainable: true,
    squares: true,
    factored: factored === undefined ? undefined : ({ name }) => name === factored,
  });
  const { dtype } = made;
  for (const [seed, { parameter }] of made.ranges.entries())
    made.get(parameter.name).copyFrom(randn(parameter.shape, { dtype, device, seed, scale: 0.1 }));
  return made;
}

const layer = (of: ParameterSet, name: string) =>
  [of.get(`${name}.weight`), of.get(`${name}.bias`)] as const;

/** One backward through all of the matrices. */
function pass(of: ParameterSet, seed: number): void {
  const { dtype, device } = of;
  const x = randn([2, 20, 72], { dtype, device, seed });
  const up = (h: Tensor) => mlp(h, layer(of, "a"), layer(of, "b"), { act: "silu" });
  const small = (h: Tensor) => linear(h, ...layer(of, "small"));
  const [y] = seed % 2 === 0 ? recompute((h) => [up(h)], x) : [up(x)];
  backward(y!, randn(y!.shape, { dtype, device, seed: seed + 100 }));
  const z = small(randn([3, 24], { dtype, device, seed: seed + 200 }));
  backward(z, randn(z.shape, { dtype, device, seed: seed + 300 }));
}

const elements = (of: ParameterSet) =>
  of.squares!.unknown(of.gradients!.size).reduce((sum, n, i) => sum + (i % 2) * n, 0);
const sizeOf = (of: ParameterSet, name: string) => of.range(name).size;

/** That the norm is that of all gradients; returns how many elements were read for it. */
async function assertNorm(of: ParameterSet, tolerance = 2e-7): Promise<number> {
  await assertRelative(gradNorm(of), await globalNorm(of.gradients!).read(), tolerance);
  return elements(of);
}

forEachDevice("GradientSquares", (test, device) => {
  for (const dtypes of [
    { dtype: "float32", gradDtype: "float32" },
    { dtype: "bfloat16", gradDtype: "float32" },
    { dtype: "bfloat16", gradDtype: "bfloat16" },
  ] as const)
    test(`${dtypes.dtype}, gradients ${dtypes.gradDtype}: the norm reads what is no such matrix`, async () => {
      const of = set(device, dtypes);
      const known = sizeOf(of, "a.weight") + sizeOf(of, "b.weight");
      for (let seed = 0; seed < 3; ++seed) {
        pass(of, seed);
        assert.equal(await assertNorm(of), of.gradients!.size - known);
      }
      of.zeroGradients();
      assert.equal(await gradNorm(of).item(), 0);
      pass(of, 7);
      assert.equal(await assertNorm(of), of.gradients!.size - known);
      of.dispose();
    });

  const float32 = { dtype: "float32", gradDtype: "float32" } as const;

  test("what another op adds to is read until the gradients are zero again", async () => {
    const of = set(device, float32);
    pass(of, 1);
    const a = of.get("a.weight");
    backward(add(a, a), randn(a.shape, { device, seed: 5 }));
    pass(of, 2);
    assert.equal(await assertNorm(of), of.gradients!.size - sizeOf(of, "b.weight"));
    of.zeroGradients();
    pass(of, 3);
    const known = sizeOf(of, "a.weight") + sizeOf(of, "b.weight");
    assert.equal(await assertNorm(of), of.gradients!.size - known);
    of.dispose();
  });

  test("rows are of the whole: neither missed nor counted twice", async () => {
    const of = set(device, float32);
    const x = randn([20, 72], { device, seed: 1 });
    const dy = (n: number, seed: number) => randn([20, n], { device, seed });
    pass(of, 1);
    backward(linear(x, of.rows("a.weight", 0, 64)), dy(64, 2));
    backward(linear(x, of.rows("a.weight", 64, 72)), dy(72, 3));
    backward(linear(x, of.rows("a.weight", 32, 48)), dy(48, 4));
    const known = sizeOf(of, "a.weight") + sizeOf(of, "b.weight");
    assert.equal(await assertNorm(of), of.gradients!.size - known);
    // No whole blocks.
    backward(linear(x, of.rows("a.weight", 8, 64)), dy(64, 5));
    assert.equal(await assertNorm(of), of.gradients!.size - sizeOf(of, "b.weight"));
    of.dispose();
  });

  test("with a factored matrix, and after a clip", async () => {
    const of = set(device, float32, "a.weight");
    const x = randn([4, 72], { device, seed: 1 });
    const h = linear(x, of.get("a.weight"));
    backward(linear(h, of.get("b.weight")), randn([4, 128], { device, seed: 2 }));
    const whole = set(device, float32);
    const same = linear(x, whole.get("a.weight"));
    backward(linear(same, whole.get("b.weight")), randn([4, 128], { device, seed: 2 }));
    await assertRelative(gradNorm(of), await gradNorm(whole).read(), 1e-6);
    assert.equal(elements(of), of.gradients!.size - sizeOf(of, "b.weight"));
    clipGradNorm(whole, 0.1);
    assert.equal(await assertNorm(whole), whole.gradients!.size);
    of.dispose();
    whole.dispose();
  });

  test("what is not finite, overflows or vanishes is seen as it is", async () => {
    for (const scale of [NaN, Infinity, 1e25, 1e-25]) {
      const of = set(device, float32);
      const w = of.get("b.weight");
      const x = randn([4, 136], { device, seed: 1 });
      backward(linear(x, w), randn([4, 128], { device, seed: 2, scale }));
      const [norm, exact] = [await gradNorm(of).item(), await globalNorm(of.gradients!).item()];
      assert.ok(Object.is(norm, exact), `${scale}: expected ${exact}, got ${norm}`);
      of.dispose();
    }
  });

  test("nothing is kept of a frozen model, or without the option", () => {
    const frozen = ParameterSet.create(declared, { device, squares: true });
    const plain = ParameterSet.create(declared, { device, trainable: true });
    assert.equal(frozen.squares, undefined);
    assert.equal(plain.squares, undefined);
    assert.equal(plain.get("a.weight").squares, undefined);
  });
});
