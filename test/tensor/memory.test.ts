// Memory that is used up: the error says what was asked, what is left, what holds the most and what helps.
import assert from "node:assert/strict";
import { native } from "../../ts/native/binding.js";
import { ParameterSet } from "../../ts/nn/parameter_set.js";
import { AdamW } from "../../ts/optim/adamw.js";
import { affine } from "../../ts/ops/index.js";
import {
  labelled,
  limitMemory,
  memoryLeft,
  memoryOf,
  synchronize,
} from "../../ts/tensor/device.js";
import { tensorScope } from "../../ts/tensor/scope.js";
import { zeros } from "../../ts/tensor/tensor.js";
import { codeOf } from "../../ts/native/error.js";
import { forEachDevice } from "../support/index.js";

const mebi = 2 ** 20;

forEachDevice("memory", (test, device) => {
  /** The message of what `fn` fails with for want of memory. */
  const refused = (fn: () => unknown): string => {
    try {
      fn();
    } catch (error) {
      assert.equal(codeOf(error), "ERR_OUT_OF_MEMORY");
      return (error as Error).message;
    }
    assert.fail("expected ERR_OUT_OF_MEMORY, got none");
  };
  /** So many bytes beyond what is in use, nothing kept for reuse. */
  const limited = async (bytes: number, fn: () => void | Promise<void>) => {
    native.poolTrim(device);
    await synchronize(device);
    const { inUse, cached } = memoryOf(device);
    limitMemory(device, inUse + cached + bytes);
    try {
      await fn();
    } finally {
      limitMemory(device, 0);
    }
  };

  test("out of memory says what was asked, what is left and what holds the most", async () => {
    await limited(64 * mebi, () => {
      using scope = tensorScope();
      void scope;
      const set = ParameterSet.create([{ name: "w", shape: [5 * mebi], init: { kind: "zeros" } }], {
        device,
        trainable: true,
      });
      const x = zeros([2 * mebi], { device });
      affine(x, 1, 0);
      const said = refused(() => new AdamW(set));
      assert.ok(said.startsWith(`${device}: asked for `), said);
      assert.match(
        said,
        /asked for 2[02] MiB \(moments\) with \d+ MiB left of a limit of \d+ MiB; in use/,
      );
      assert.match(
        said,
        / in use \d+ MiB \(weights 2[02] MiB, gradients 2[02] MiB, zeros [89] MiB, affine [89] MiB\)/,
      );
      assert.match(said, /; what helps: /);
      set.dispose();
    });
  });

  test("what is kept for reuse is given back before memory is said to be used up", async () => {
    await limited(40 * mebi, async () => {
      {
        using scope = tensorScope();
        void scope;
        zeros([5 * mebi], { device });
      }
      await synchronize(device);
      assert.ok(memoryOf(device).cached >= 20 * mebi);
      using scope = tensorScope();
      void scope;
      const x = zeros([8 * mebi], { device });
      assert.equal((await x.read())[8 * mebi - 1], 0);
      assert.equal(memoryOf(device).cached, 0);
    });
  });

  test("the device goes on after a refusal, and a limit ends", async () => {
    await limited(mebi, () => {
      refused(() => zeros([mebi], { device }));
    });
    using scope = tensorScope();
    void scope;
    const y = affine(zeros([mebi], { device }), 1, 2);
    assert.equal((await y.read())[17], 2);
  });

  test("what is left is told", () => {
    const { free, total } = memoryLeft(device);
    assert.ok(free > 0 && free <= total, `${free} of ${total}`);
  });

  test("a name is taken back when its allocation fails", async () => {
    await limited(mebi, () => {
      assert.match(
        refused(() => labelled("EMA", () => zeros([mebi], { device }))),
        /\(EMA\)/,
      );
      assert.match(
        refused(() => zeros([mebi], { device })),
        /\(zeros\)/,
      );
    });
  });
});
