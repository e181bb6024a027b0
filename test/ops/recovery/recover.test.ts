import assert from "node:assert/strict";
import { backward } from "../../../ts/autograd/backward.js";
import { recover } from "../../../ts/ops/index.js";
import { cast } from "../../../ts/ops/elementwise/cast.js";
import { tensor } from "../../../ts/tensor/tensor.js";
import {
  assertRelative,
  assertSameBitsForThreads,
  checkGradients,
  forEachDevice,
  leaf,
  randn,
  refuses,
  relativeError,
  toFloat64,
} from "../../support/index.js";

const [B, height, width, C] = [2, 6, 4, 3];
const L = (height / 2) * (width / 2);
const flux = { scalingFactor: 0.3611, shiftFactor: 0.1159 };

/** The reference's own two steps in float64: step the noisy latent, then divide the noise out. */
function definition(
  clean: Float64Array,
  noise: Float64Array,
  velocity: Float64Array,
  sigmas: readonly (readonly [number, number])[],
): Float64Array {
  const z = new Float64Array(B * height * width * C);
  return z.map((_, i) => {
    const [c, j] = [i % C, Math.floor(i / C) % width];
    const row = Math.floor(i / (C * width)) % height;
    const b = Math.floor(i / (C * width * height));
    const token = Math.floor(row / 2) * (width / 2) + Math.floor(j / 2);
    const q = (b * L + token) * 4 * C + c * 4 + (row % 2) * 2 + (j % 2);
    const [from, to] = sigmas[b]!;
    const noisy = (1 - from) * clean[q]! + from * noise[q]!;
    const stepped = noisy + (to - from) * velocity[q]!;
    const x0 = (stepped - to * noise[q]!) / (1 - to);
    return x0 / flux.scalingFactor + flux.shiftFactor;
  });
}

const gOf = ([from, to]: readonly [number, number]) => (to - from) / (1 - to);

forEachDevice("recover", (test, device) => {
  const sigmas = [
    [0.792686, 0.771236],
    [0.75, 0.77145],
  ] as const;
  const options = { g: sigmas.map(gOf), height, width, ...flux };
  const latent = (seed: number, dtype: "float32" | "bfloat16" = "float32") =>
    randn([B, L, 4 * C], { device, seed, dtype });

  test("is the reference's step and division, in every mix of dtypes", async () => {
    for (const [of, noiseOf, velocityOf] of [
      ["float32", "float32", "float32"],
      ["float32", "bfloat16", "bfloat16"],
      ["bfloat16", "float32", "float32"],
      ["bfloat16", "bfloat16", "bfloat16"],
    ] as const) {
      const [clean, noise, velocity] = [latent(0, of), latent(1, noiseOf), latent(2, velocityOf)];
      const z = recover(clean, noise, velocity, options);
      assert.deepEqual([...z.shape, z.dtype], [B, height, width, C, velocityOf]);
      const exact = definition(...(await toFloat64(clean, noise, velocity)), sigmas);
      await assertRelative(z, exact, velocityOf === "float32" ? 2e-7 : 2 ** -8);
    }
  });

  test("the worked scalars: x0 1, noise -0.5, velocity -1, sigma .90 to .88", async () => {
    const all = (value: number) => tensor([value, 0, 0, 0], [1, 1, 4], { device });
    const velocity = leaf(all(-1));
    const g = [gOf([0.9, 0.88])];
    const z = recover(all(1), all(-0.5), velocity, { g, height: 2, width: 2, ...flux });
    assert.ok(Math.abs(g[0]! + 0.1666667) < 1e-7);
    assert.ok(Math.abs((await z.read())[0]! - 2.65444) < 1e-6);
    backward(z, tensor([1, 0, 0, 0], [1, 2, 2, 1], { device }));
    assert.ok(Math.abs((await velocity.grad!.read())[0]! + 0.461553) < 1e-6);
  });

  test("an exact model gives x0 back, whatever g", async () => {
    const [clean, noise] = [latent(0), latent(1)];
    const [x0, eps] = await toFloat64(clean, noise);
    const velocity = tensor(
      eps.map((value, i) => value - x0[i]!),
      [B, L, 4 * C],
      { device },
    );
    const still = await recover(clean, noise, latent(2), { ...options, g: [0, 0] }).read();
    for (const g of [
      [-0.375235, 0.375234],
      [-0.004305, 0.093853],
      [-17, 17],
    ])
      await assertRelative(recover(clean, noise, velocity, { ...options, g }), still, 2e-6);
  });

  test("equal |g| and upstream gradient give exactly opposite gradients", async () => {
    const dz = randn([B, height, width, C], { device, seed: 3 });
    const gradient = async (sign: number) => {
      const velocity = leaf(latent(2));
      const g = [sign * 0.150037, sign * 0.2];
      backward(recover(latent(0), latent(1), velocity, { ...options, g }), dz);
      return velocity.grad!.read();
    };
    const [denoise, invert] = [await gradient(-1), await gradient(1)];
    assert.deepEqual(
      denoise.map((v) => -v),
      invert,
    );
  });

  test("the gradient goes to velocity alone, and does not depend on x0 and noise", async () => {
    const [clean, noise] = [leaf(latent(0)), leaf(latent(1))];
    await checkGradients((v) => recover(clean, noise, v, options), [latent(2)]);
    assert.ok(clean.grad === undefined && noise.grad === undefined);
    const dz = randn([B, height, width, C], { device, seed: 3 });
    const gradient = async (seed: number, dtype: "float32" | "bfloat16") => {
      const velocity = leaf(latent(2, dtype));
      const z = recover(latent(seed), latent(seed + 1), velocity, options);
      backward(z, cast(dz, dtype));
      return velocity.grad!.read();
    };
    assert.deepEqual(await gradient(10, "float32"), await gradient(20, "float32"));
    const [half, full] = [await gradient(10, "bfloat16"), await gradient(10, "float32")];
    assert.ok(relativeError(half, full) < 2 ** -7);
  });

  test("the bits do not depend on the number of threads", async () => {
    const many = (seed: number) => randn([1, 256, 64], { device, seed });
    await assertSameBitsForThreads(() => [
      recover(many(0), many(1), many(2), { g: [0.1], height: 32, width: 32, ...flux }),
    ]);
  });

  test("a wrong shape, dtype, g or factor is named", () => {
    const [clean, noise, velocity] = [latent(0), latent(1), latent(2)];
    refuses(
      () => recover(clean, randn([B, L, 4], { device }), velocity, options),
      "ERR_SHAPE",
      "recover: noise: expected [2, 6, 12], got [2, 6, 4]",
    );
    refuses(
      () => recover(clean, noise, velocity, { ...options, height: 8 }),
      "ERR_SHAPE",
      "recover: velocity: expected [any, 8, any], got [2, 6, 12]",
    );
    refuses(
      () => recover(clean, noise, velocity, { ...options, g: [0.1] }),
      "ERR_RANGE",
      "recover: g: expected 2 numbers, one a sample, got 1",
    );
    refuses(
      () => recover(clean, noise, velocity, { ...options, g: [0.1, Infinity] }),
      "ERR_RANGE",
      "recover: g: expected finite numbers, got inf",
    );
    refuses(
      () => recover(clean, noise, velocity, { ...options, scalingFactor: 0 }),
      "ERR_RANGE",
      "recover: scalingFactor: expected a finite number other than 0, got 0.000000",
    );
    refuses(
      () => recover(tensor([1], [1, 1, 1], { dtype: "int32", device }), noise, velocity, options),
      "ERR_SHAPE",
      "recover: clean: expected [2, 6, 12], got [1, 1, 1]",
    );
  });
});
