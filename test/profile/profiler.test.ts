// A profile of real ops: every op is there, nested in its stages, within the time that passed.
import assert from "node:assert/strict";
import { backward } from "../../ts/autograd/backward.js";
import { requireGrad } from "../../ts/autograd/tape.js";
import { native } from "../../ts/native/binding.js";
import { range } from "../../ts/native/ranges.js";
import {
  attention,
  attentionMlp,
  concat,
  conv2d,
  linear,
  linearPair,
  matmul,
  sum,
} from "../../ts/ops/index.js";
import { Profiler, type Taken } from "../../ts/profile/profiler.js";
import { linesOf, summaryOf } from "../../ts/profile/summary.js";
import { traceOf } from "../../ts/profile/trace.js";
import { zeros } from "../../ts/tensor/tensor.js";
import { synchronize } from "../../ts/tensor/device.js";
import { forEachDevice } from "../support/devices.js";

/** [begin, end] within another, to the rounding of the file. */
const within = (a: { ts: number; dur: number }, b: { ts: number; dur: number }): boolean =>
  a.ts >= b.ts - 0.002 && a.ts + a.dur <= b.ts + b.dur + 0.002;

forEachDevice("profile", (test, device) => {
  const t = (...shape: number[]) => zeros(shape, { device });

  const profiled = async (work: () => void | Promise<void>): Promise<Taken> => {
    const profiler = await Profiler.start(device);
    await work();
    return profiler.stop();
  };

  test("ops, forward and backward, with shapes, bytes and operations", async () => {
    const [x, w] = [requireGrad(t(5, 7)), requireGrad(t(3, 7))];
    const loss = () => sum(linear(x, w, null));
    const taken = await profiled(() => {
      range("forward", () => void loss());
      const again = range("forward", loss);
      range("backward", () => backward(again));
    });
    const names = taken.calls.map(({ name }) => name);
    for (const name of ["linearForward", "sumForward", "sumBackward", "linearBackward"])
      assert.ok(names.includes(name), `${name} among ${names.join(", ")}`);
    const first = taken.calls.find(({ name }) => name === "linearForward")!;
    assert.equal(first.shapes, "[5, 7] x [3, 7] float32");
    assert.equal(first.flops, 2 * 5 * 3 * 7);
    assert.equal(first.bytes, 4 * (5 * 7 + 3 * 7 + 5 * 3));
    const last = taken.calls.find(({ name }) => name === "linearBackward")!;
    assert.equal(last.flops, 2 * 2 * 5 * 3 * 7);
    // Every piece that ran has a place in time, none before the one ahead of it, all of it within the wall.
    assert.ok(taken.pieces.length >= taken.calls.length);
    let at = 0;
    let busy = 0;
    for (const { op, begin, end } of taken.pieces) {
      assert.ok(begin >= at - 1 && end >= begin, `${op}: ${begin} to ${end} after ${at}`);
      busy += end - begin;
      at = end;
    }
    assert.ok(busy <= taken.wall && at <= taken.wall + 1000, `${busy}, ${at} of ${taken.wall}`);
    const { traceEvents } = JSON.parse(JSON.stringify(traceOf(taken, { device }))) as {
      traceEvents: { name: string; cat?: string; tid: number; ts: number; dur: number }[];
    };
    const of = (cat: string) => traceEvents.filter((event) => event.cat === cat);
    assert.equal(of("op").length, taken.pieces.filter(({ end }) => !Number.isNaN(end)).length);
    const [stage] = of("stage").filter(({ name }) => name === "backward");
    for (const event of of("op").filter(({ name }) => name.endsWith("Backward")))
      assert.ok(within(event, stage!), `${event.name} in backward`);
    // What forward was in comes again beneath backward.
    assert.ok(of("stage").some((event) => event.name === "forward" && within(event, stage!)));
  });

  test("operations of the other products", async () => {
    const taken = await profiled(() => {
      matmul(t(2, 3, 4), t(2, 4, 5));
      attention(t(1, 2, 6, 8), t(1, 2, 6, 8), t(1, 2, 6, 8));
      conv2d(t(1, 5, 5, 2), t(3, 3, 3, 2), null);
    });
    const flops = (name: string) => taken.calls.find((call) => call.name === name)?.flops;
    assert.equal(flops("matmulForward"), 2 * 2 * 3 * 4 * 5);
    assert.equal(flops("attentionForward"), 4 * 2 * 6 * 6 * 8);
    assert.equal(flops("conv2dForward"), 2 * 25 * 3 * 3 * 3 * 2);
  });

  test("what an op leaves beside its columns is not counted", async () => {
    const head = () => requireGrad(t(1, 2, 6, 8));
    const heads = [head(), head(), head()] as const;
    const taken = await profiled(() => {
      const y = attentionMlp(heads, t(1, 6, 5), [t(7, 5), t(7)], [t(3, 23), null], { act: "silu" });
      backward(y, t(1, 6, 3));
    });
    const bytes = (name: string) => taken.calls.find((call) => call.name === name)?.bytes;
    const [D, H] = [16, 7];
    assert.equal(bytes("attentionForward"), 4 * 6 * (4 * D + 2));
    assert.equal(bytes("linearForward"), 4 * (6 * 5 + H * 5 + H + 6 * H));
    // dout, out, q, k, v, dq, dk, dv, and lse
    assert.equal(bytes("attentionBackward"), 4 * 6 * (8 * D + 2));
    const [, second] = taken.calls.filter(({ name }) => name === "linearForward");
    assert.equal(second!.flops, 2 * 6 * (D + H) * 3);
    assert.deepEqual(
      taken.calls.filter(({ name }) => name === "linearBackward").map(({ flops }) => flops),
      [2 * 6 * (D + H) * 3],
    );
  });

  test("a pair is as much work as both of it", async () => {
    const taken = await profiled(() => {
      const w = requireGrad(t(7, 5));
      const [a, b] = linearPair({ x: t(3, 5), w }, { x: t(2, 5), w: t(7, 5) });
      backward(concat([a, b], 0), t(5, 7));
    });
    const call = (name: string) => taken.calls.find((each) => each.name === name);
    const pair = call("linearPairForward")!;
    assert.equal(pair.flops, 2 * (3 + 2) * 5 * 7);
    assert.equal(pair.bytes, 4 * ((3 + 2) * 5 + 2 * 7 * 5 + (3 + 2) * 7));
    assert.equal(pair.shapes, "[3, 5] x [7, 5] float32 | [2, 5] x [7, 5] float32");
    // The second has no gradient: it is the first's alone.
    assert.equal(call("linearBackward")!.flops, 2 * 3 * 5 * 7);
    assert.equal(call("linearPairBackward"), undefined);
  });

  test("the table adds up", async () => {
    const taken = await profiled(() => {
      for (let i = 0; i < 3; ++i) range(`block.${i}`, () => void linear(t(4, 4), t(4, 4), null));
    });
    const summary = summaryOf(taken);
    const total = summary.ops.reduce((us, row) => us + row.microseconds, 0);
    assert.ok(Math.abs(total - summary.busy) < 1e-6 * (1 + summary.busy));
    assert.ok(summary.covered > 0 && summary.covered <= 1);
    assert.equal(summary.ops.find(({ name }) => name === "linearForward")?.calls, 3);
    assert.deepEqual(
      summary.stages.map(({ name, times }) => [name, times]),
      [["block.*", 3]],
    );
    const lines = linesOf(summary, { most: 1, depth: 1 });
    assert.match(lines.join("\n"), /and \d+ more\n\nblock\.\* +3 x .*\n\nthe device worked /);
  });

  test("an op that fails ends the profile, and the next is taken", async () => {
    const taken = await profiled(() => {
      assert.throws(() => linear(t(2, 3), t(2, 4), null), /linear: w: expected/);
    });
    assert.equal(taken.calls.filter(({ name }) => name === "linearForward").length, 0);
    const now = (): unknown => Object.getOwnPropertyDescriptor(native, "linearForward")?.value;
    const before = now();
    const profiler = await Profiler.start(device);
    assert.notEqual(now(), before);
    await assert.rejects(Profiler.start(device), { code: "ERR_CONFIG", message: /one at a time/ });
    await profiler.stop();
    assert.equal(now(), before);
  });

  test("nothing is taken outside of a profile", async () => {
    linear(t(2, 3), t(2, 3), null);
    await synchronize(device);
    assert.equal(native.profileSize(device), 0);
  });

  test("a timer that the device has not", async () => {
    const timer = device.startsWith("cuda") ? "clock" : "cupti";
    await assert.rejects(Profiler.start(device, timer), {
      code: "ERR_CONFIG",
      message: /^profile: timer: expected .* got (?:clock|cupti)$/,
    });
  });
});
