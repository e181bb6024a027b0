import assert from "node:assert/strict";
import { test } from "uvu";
import { saveFolder } from "../../../ts/checkpoint/folder.js";
import { judgeConfigJson } from "../../../ts/micro/judges/config.js";
import { Judge } from "../../../ts/micro/judges/judge.js";
import { pool } from "../../../ts/micro/judges/layers.js";
import { LearningJudge } from "../../../ts/micro/judges/training.js";
import { initializeParameters } from "../../../ts/nn/init.js";
import { tensorsToWrite } from "../../../ts/nn/save.js";
import { linear, slice } from "../../../ts/ops/index.js";
import { tensorScope } from "../../../ts/tensor/scope.js";
import { tensor } from "../../../ts/tensor/tensor.js";
import { checkGradients, randn, relativeError } from "../../support/index.js";
import { temporaryFolder } from "../pretrain/support.js";

test("the pool has each channel's largest and its quarters' means, and gradients flow", async () => {
  using scope = tensorScope();
  void scope;
  const x = randn([2, 4, 4, 3], { seed: 4 });
  const values = await x.read();
  const at = (b: number, y: number, i: number, c: number) => values[((b * 4 + y) * 4 + i) * 3 + c]!;
  const all = [0, 1, 2, 3];
  const expected = [0, 1].flatMap((b) => [
    ...[0, 1, 2].map((c) => Math.max(...all.flatMap((y) => all.map((i) => at(b, y, i, c))))),
    ...[0, 2].flatMap((top) =>
      [0, 2].flatMap((left) =>
        [0, 1, 2].map(
          (c) =>
            (at(b, top, left, c) +
              at(b, top, left + 1, c) +
              at(b, top + 1, left, c) +
              at(b, top + 1, left + 1, c)) /
            4,
        ),
      ),
    ),
  ]);
  assert.ok(relativeError(await pool(x).read(), expected) < 1e-6);
  await checkGradients((t) => pool(t), [x], { step: 1e-3 });
});

test("folded over the batch itself, a judge says what it said while it learned", async () => {
  using scope = tensorScope();
  void scope;
  using folder = temporaryFolder();
  const learning = new LearningJudge("attributes", { trainable: true });
  initializeParameters(learning.parameters, 5n);
  const images = tensor(
    (await randn([6, 64, 64, 3]).read()).map((v) => 0.5 + 0.2 * v),
    [6, 64, 64, 3],
  );
  const judge = await learning.folded([() => images], {});
  const said = await learning.forward(images).read();
  const { parameters: w } = judge;
  const says = linear(judge.features(images), w.get("head.weight"), w.get("head.bias"));
  assert.ok(relativeError(await says.read(), said) < 1e-4);

  const verdicts = await judge.judge(slice(images, 0, 0, 2));
  assert.equal(verdicts.length, 2);
  assert.deepEqual(
    verdicts[0]!.map((probabilities) => probabilities.length),
    [5, 8, 2, 3, 5, 3],
  );
  for (const probabilities of verdicts[0]!)
    assert.ok(Math.abs(probabilities.reduce((a, b) => a + b) - 1) < 1e-6);

  await saveFolder(`${folder.path}/judge`, async (writer) => {
    await writer.json("config.json", judgeConfigJson("attributes"));
    await writer.safetensors("model.safetensors", tensorsToWrite(judge.parameters, judge.names));
  });
  const opened = await Judge.open(`${folder.path}/judge`);
  assert.deepEqual(await opened.judge(slice(images, 0, 0, 2)), verdicts);
  for (const part of [learning, judge, opened]) part.dispose();
});

test("a judge of other questions is refused", async () => {
  using folder = temporaryFolder();
  const { questions } = judgeConfigJson("style");
  await saveFolder(`${folder.path}/judge`, (writer) =>
    writer.json("config.json", { ...judgeConfigJson("attributes"), questions }),
  );
  await assert.rejects(Judge.open(`${folder.path}/judge`), {
    code: "ERR_CONFIG",
    message: /^judge config: questions: expected this world's own/,
  });
});

test.run();
