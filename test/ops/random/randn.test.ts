import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { purposes, rand, randn, randomBits } from "../../../ts/ops/index.js";
import { toBFloat16Bits, fromBFloat16Bits } from "../../../ts/tensor/dtype.js";
import type { Tensor } from "../../../ts/tensor/tensor.js";
import { assertSameBitsForThreads, forEachDevice, refuses } from "../../support/index.js";

const key = { seed: 42n, purpose: purposes.free, step: 7, sample: 3 };

async function words(t: Tensor): Promise<number[]> {
  return [...new Uint32Array(await t.readBytes())];
}

/** Box-Muller in float64 on the words that the device drew. */
function definition(bits: readonly number[]): Float64Array {
  return Float64Array.from(bits, (_, i) => {
    const [u, a] = [bits[i - (i % 2)]!, bits[i - (i % 2) + 1]!];
    const radius = Math.sqrt(-2 * Math.log(Math.fround(u + 0.5) / 2 ** 32));
    const angle = (2 * Math.PI * a) / 2 ** 32;
    return radius * (i % 2 === 0 ? Math.cos(angle) : Math.sin(angle));
  });
}

forEachDevice("randn", (test, device) => {
  test("the words are Random123's known answers for philox4x32-10", async () => {
    const zeros = randomBits([4], { seed: 0n, purpose: 0, step: 0, sample: 0, device });
    assert.deepEqual(await words(zeros), [0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8]);
    const most = 0xffffffff;
    const ones = randomBits([4], {
      seed: (1n << 64n) - 1n,
      purpose: most,
      step: most,
      sample: most,
      offset: 4 * most,
      device,
    });
    assert.deepEqual(await words(ones), [0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd]);
    const pi = randomBits([4], {
      seed: 0x299f31d0a4093822n,
      purpose: 0x85a308d3,
      step: 0x13198a2e,
      sample: 0x03707344,
      offset: 4 * 0x243f6a88,
      device,
    });
    assert.deepEqual(await words(pi), [0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1]);
  });

  test("normals are Box-Muller of the words, to some ulp", async () => {
    const bits = await words(randomBits([10000], { ...key, device }));
    const exact = definition(bits);
    const drawn = await randn([9997], { ...key, device }).read();
    drawn.forEach((value, i) => {
      const error = Math.abs(value - exact[i]!) / (Math.abs(exact[i]!) + 0.01);
      assert.ok(error < 4e-7, `element ${i}: ${value} for ${exact[i]}`);
    });
  });

  test("moments and tails are the normal distribution's", async () => {
    const n = 1 << 20;
    const x = await randn([n], { ...key, device }).read();
    const moment = (p: number) => x.reduce((sum, v) => sum + v ** p, 0) / n;
    // Five standard errors of each estimate.
    for (const [p, exact, variance] of [
      [1, 0, 1],
      [2, 1, 2],
      [3, 0, 15],
      [4, 3, 96],
    ] as const)
      assert.ok(Math.abs(moment(p) - exact) < 5 * Math.sqrt(variance / n), `moment ${p}`);
    for (const [beyond, share] of [
      [1, 0.3173105],
      [2, 0.0455003],
      [3, 0.0026998],
      [4, 6.3342e-5],
    ] as const) {
      const count = x.filter((v) => Math.abs(v) > beyond).length;
      assert.ok(Math.abs(count - n * share) < 5 * Math.sqrt(n * share), `${count} > ${beyond}`);
    }
    const neighbours = x.reduce((sum, v, i) => sum + v * (x[i + 1] ?? 0), 0) / n;
    assert.ok(Math.abs(neighbours) < 5 / Math.sqrt(n), `correlation ${neighbours}`);
  });

  test("no number is beyond the largest radius", async () => {
    // The radius is at most sqrt(2 * 33 ln 2).
    const x = await randn([1 << 18], { ...key, seed: 1n, device }).read();
    assert.ok(x.every((v) => Math.abs(v) < 6.77));
  });

  test("an element depends on its name alone", async () => {
    const all = await randn([1000], { ...key, device }).read();
    const tail = await randn([601], { ...key, offset: 396, device }).read();
    assert.deepEqual(tail.subarray(0, 600), all.subarray(396, 996));
    const batch = await randn([3, 1000], { ...key, sample: [9, 3, 9], device }).read();
    assert.deepEqual(batch.subarray(1000, 2000), all);
    assert.deepEqual(batch.subarray(0, 1000), batch.subarray(2000));
    for (const other of [
      { seed: 43n },
      { seed: 42n + (1n << 32n) },
      { purpose: purposes.rolloutNoise },
      { step: 8 },
      { sample: 4 },
    ]) {
      const x = await randn([1000], { ...key, ...other, device }).read();
      const dot = x.reduce((sum, v, i) => sum + v * all[i]!, 0) / 1000;
      assert.ok(Math.abs(dot) < 0.2, `correlated with ${Object.keys(other).join()}`);
    }
  });

  test("no two purposes share a number", () => {
    const numbers = Object.values(purposes);
    assert.equal(new Set(numbers).size, numbers.length);
  });

  test("bfloat16 is the float32 number, rounded", async () => {
    const options = { ...key, device };
    const full = await randn([333], options).read();
    const half = await randn([333], { ...options, dtype: "bfloat16" }).read();
    assert.deepEqual(
      half,
      Float32Array.from(full, (v) => fromBFloat16Bits(toBFloat16Bits(v))),
    );
  });

  test("uniforms are the words' upper 24 bits", async () => {
    const bits = await words(randomBits([77], { ...key, device }));
    const uniforms = await rand([77], { ...key, device }).read();
    assert.deepEqual(
      [...uniforms],
      bits.map((word) => (word >>> 8) / 2 ** 24),
    );
  });

  test("the bits do not depend on the number of threads", () =>
    assertSameBitsForThreads(() => [randn([3, 40001], { ...key, sample: [1, 2, 3], device })]));

  test("what cannot be named is refused", () => {
    const drawn = (options: Partial<Parameters<typeof randn>[1]>) => () =>
      randn([2, 3], { ...key, device, ...options });
    refuses(
      drawn({ sample: [1, 2, 3] }),
      "ERR_SHAPE",
      "randn: sample: expected one, or 2, one an entry, got 3",
    );
    refuses(drawn({ sample: -1 }), "ERR_RANGE", "randn: sample: expected 0 to 2^32 - 1, got -1");
    refuses(
      drawn({ offset: 2 }),
      "ERR_RANGE",
      "randn: offset: expected a multiple of 4, at least 0, got 2",
    );
    refuses(
      drawn({ seed: -1n }),
      "ERR_RANGE",
      "randn: seed: expected 0 to 2^64 - 1, got a bigint outside it",
    );
    refuses(
      drawn({ dtype: "int32" }),
      "ERR_DTYPE",
      "randn: dtype: expected float32 or bfloat16, got int32",
    );
    refuses(
      () => randn([0, 3], { ...key, device }),
      "ERR_SHAPE",
      "randn: shape: expected at least one element, got [0, 3]",
    );
  });

  if (device === "cpu")
    test("every instruction set gives the same bits", () => {
      const ops = new URL("../../../ts/ops/index.js", import.meta.url).href;
      const script = `
        import { createHash } from "node:crypto";
        import { rand, randn } from ${JSON.stringify(ops)};
        const key = { seed: 42n, purpose: 0, step: 7, sample: 3 };
        const hash = createHash("sha256");
        for (const t of [randn([100003], key), rand([1001], key)])
          hash.update(Buffer.from(await t.readBytes()));
        console.log(hash.digest("hex"));`;
      const digests = ["generic", "avx2", "avx512", "amx"].map((isa) =>
        execFileSync(process.execPath, ["--input-type=module", "-e", script], {
          env: { ...process.env, SRPO_ISA: isa },
          encoding: "utf8",
        }),
      );
      assert.equal(digests[0]!.trim().length, 64);
      assert.equal(new Set(digests).size, 1, digests.join());
    });
});
