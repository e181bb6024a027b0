// How flat parameters are cut for ranks: every element once, whole blocks of 8-bit moments, about a block each.
import assert from "node:assert/strict";
import { suite } from "uvu";
import { fluxDev } from "../../ts/models/flux/config.js";
import { fluxParameters, isModulation } from "../../ts/models/flux/parameters.js";
import { sizeOf, type Parameter } from "../../ts/nn/parameter.js";
import { bucketsOf, inOrderOfForward, overlap, shardMultiple } from "../../ts/optim/buckets.js";
import { uniforms } from "../support/index.js";

const test = suite("buckets");

/** Where parameters lie, as `ParameterSet` lays them, without their memory. */
function laid(parameters: readonly Parameter[], isFactored: (p: Parameter) => boolean) {
  let end = 0;
  const place = (each: number) => (parameter: Parameter) => {
    const offset = Math.ceil(end / each) * each;
    const size = sizeOf(parameter.shape);
    end = Math.ceil((offset + size) / 32) * 32;
    return { parameter, offset, size };
  };
  const dense = parameters.filter((p) => !isFactored(p)).map(place(32));
  const factored = parameters.filter(isFactored).map(place(256));
  const of = new Map([...dense, ...factored].map((range) => [range.parameter, range]));
  const ranges = parameters.map((p) => of.get(p)!);
  return { ranges, factored, length: end };
}

test("whatever the parameters and ranks, every element is in one bucket that the ranks share", () => {
  for (const [i, random] of uniforms(200, 3, 0, 1).entries()) {
    const sizes = uniforms(1 + Math.floor(60 * random), i, 0, 1);
    const parameters = Array.from(sizes, (u, k): Parameter => ({
      name: `${k % 3 === 0 ? "stem" : `blocks.${Math.floor(k / 5)}`}.p${k}`,
      shape: [1 + Math.floor(20_000 * u ** 3)],
      init: { kind: "zeros" },
    }));
    const few = (p: Parameter) => i % 3 === 0 && p.shape[0]! % 4 === 1 && p !== parameters[0];
    const set = laid(parameters, few);
    for (const ranks of [1, 2, 3, 8, 64]) {
      const multiple = shardMultiple(ranks);
      const buckets = bucketsOf(set, ranks);
      let at = 0;
      for (const { first, count } of buckets) {
        assert.equal(first, at);
        assert.ok(count > 0 && (ranks === 1 || count % multiple === 0), `${count}`);
        at += count;
      }
      assert.equal(at, Math.ceil(set.length / multiple) * multiple);
      const [behind] = set.factored;
      if (behind !== undefined && ranks > 1) {
        const end = Math.ceil(behind.offset / multiple) * multiple;
        const whole = at === end || buckets.some(({ first }) => first === end);
        assert.ok(whole, "gradients that have a buffer end with a bucket");
      }
      const ordered = inOrderOfForward(buckets, set.ranges);
      assert.deepEqual(
        ordered.toSorted((a, b) => a.first - b.first),
        buckets,
      );
    }
  }
});

for (const factored of [false, true])
  test(`FLUX.1${factored ? ", factored" : ""}: a bucket is a single block or a stream of a double one`, () => {
    const set = laid(fluxParameters(fluxDev), factored ? isModulation : () => false);
    const buckets = bucketsOf(set, 8);
    const sizes = buckets.map(({ count }) => count / 1e6);
    console.log(
      `${buckets.length} buckets of ${Math.min(...sizes).toFixed(0)} to ${Math.max(...sizes).toFixed(0)} million weights`,
    );
    assert.ok(buckets.length > 70 && buckets.length < 120, `${buckets.length}`);
    assert.ok(Math.max(...sizes) < 200, `${Math.max(...sizes)}`);
    // What a block needs has come with what was asked for up to it: no bucket of a much later block stands before.
    const ordered = inOrderOfForward(buckets, set.ranges);
    const lastOf = (name: string) => {
      const own = set.ranges.filter(({ parameter }) => parameter.name.startsWith(`${name}.`));
      return Math.max(
        ...own.flatMap(({ offset, size }) =>
          ordered.flatMap((bucket, i) =>
            overlap(bucket, { first: offset, count: size }) ? [i] : [],
          ),
        ),
      );
    };
    assert.ok(lastOf("double_blocks.0") <= 6, `${lastOf("double_blocks.0")}`);
    assert.ok(lastOf("double_blocks.9") < 0.4 * ordered.length);
    assert.equal(lastOf("single_blocks.37"), ordered.length - 1);
  });

test.run();
