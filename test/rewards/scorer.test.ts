// Scores of the tiny rewards against numbers of torch 2.13 (float64) and Pillow 12.3 on the same folders and
// pictures: the networks as the specification has them, written once more in Python, after Pillow's resize and
// crop (official), torch's antialiased one (crop), or the same between zeros (pad).
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { gradients } from "../../ts/autograd/backward.js";
import { noGrad } from "../../ts/autograd/tape.js";
import { concat, sum } from "../../ts/ops/index.js";
import { AestheticReward } from "../../ts/rewards/aesthetic_reward.js";
import { ImageTextReward } from "../../ts/rewards/image_reward.js";
import { openReward } from "../../ts/rewards/open_reward.js";
import { scorerOf, usualName, type ScoreName } from "../../ts/rewards/scorer.js";
import { tensor } from "../../ts/tensor/tensor.js";
import { listScored } from "../../ts/data/scored_images.js";
import { forEachDevice, leaf, randn, relativeError } from "../support/index.js";
import { captions, writePictures, writeRewards } from "./tiny_rewards.js";

const root = mkdtempSync(path.join(os.tmpdir(), "srpo-scores-"));
process.once("exit", () => rmSync(root, { recursive: true, force: true }));
const at = (...names: string[]) => path.join(root, ...names);
const made = (async () => {
  await writeRewards(root);
  writePictures(at("pictures"));
})();

const expected: readonly {
  name: ScoreName;
  folder: string;
  form: "official" | "crop" | "pad";
  columns: Readonly<Record<string, readonly number[]>>;
}[] = [
  {
    name: "hps",
    folder: "hps",
    form: "official",
    columns: {
      "HPSv2.1": [-0.07029887363010164, -0.23583821635565172],
      SGP: [-0.1886335289591319, -0.22634243651732514],
    },
  },
  {
    name: "hps",
    folder: "hps",
    form: "crop",
    columns: { "HPSv2.1": [0.13644697563226843, 0.0037624186059255077] },
  },
  {
    name: "clip",
    folder: "hps",
    form: "official",
    columns: { CLIP: [0.13603638073380636, 0.0033196366772163532] },
  },
  {
    name: "pickscore",
    folder: "pickscore",
    form: "official",
    columns: { PickScore: [-6.720507594337797, 5.500024295760269] },
  },
  {
    name: "pickscore",
    folder: "pickscore",
    form: "crop",
    columns: { PickScore: [-6.708184395522448, 5.500895905215531] },
  },
  {
    name: "pickscore",
    folder: "pickscore",
    form: "pad",
    columns: { PickScore: [-12.803987609910669, -0.34883448894164554] },
  },
  {
    name: "aesthetic",
    folder: "aesthetic",
    form: "official",
    columns: { Aesthetic: [-0.028863516691637107, -0.09552429082078237] },
  },
  {
    name: "imagereward",
    folder: "imagereward",
    form: "official",
    columns: { ImageReward: [-0.8564284279917134, -0.8201685123619076] },
  },
];

forEachDevice("scores", (test, device) => {
  for (const { name, folder, form, columns } of expected)
    test(`${name} of ${folder}, ${form}: torch's numbers`, async () => {
      await made;
      const reward = await openReward(at(folder), { device });
      if (name !== "clip") assert.equal(usualName(reward), name);
      const scorer = scorerOf(reward, name, { preprocess: form, device });
      const images = listScored(at("pictures"));
      assert.deepEqual(
        images.map(({ prompt }) => prompt),
        captions,
      );
      const pictures = await Promise.all(images.map((image) => image.read()));
      const pixels = noGrad(() =>
        concat(
          pictures.map((picture) => scorer.pixels(picture)),
          0,
        ),
      );
      const found = await noGrad(() => scorer.score(pixels, captions));
      for (const [column, numbers] of Object.entries(columns)) {
        const error = relativeError(found[scorer.columns.indexOf(column)]!, numbers);
        assert.ok(error < 1e-5, `${column}: ${error}`);
      }
      reward.dispose();
    });

  test("a name that the model cannot have is refused", async () => {
    await made;
    const reward = await openReward(at("aesthetic"), { device });
    assert.throws(() => scorerOf(reward, "clip", { preprocess: "official", device }), {
      code: "ERR_CONFIG",
      message: "reward: clip: expected the model of that name, got one for aesthetic",
    });
    reward.dispose();
  });

  test("the head's own file finds its tower; a tower without a head is refused by name", async () => {
    await made;
    const reward = await openReward(at("aesthetic", "aesthetic_predictor_v2_5.safetensors"), {});
    assert.ok(reward instanceof AestheticReward);
    reward.dispose();
    await assert.rejects(AestheticReward.load(at("pickscore")), {
      code: "ERR_CHECKPOINT",
      message: /expected the aesthetic head, aesthetic_predictor_v2_5\.pth, beside the SigLIP/,
    });
    await assert.rejects(ImageTextReward.load(at("hps")), {
      code: "ERR_CHECKPOINT",
      message: /expected vocab\.txt of bert-base-uncased beside ImageReward, got none/,
    });
  });

  for (const folder of ["aesthetic", "imagereward"])
    test(`${folder}: the gradient in the picture is the score's slope`, async () => {
      await made;
      const reward = await openReward(at(folder), { device });
      assert.ok(reward instanceof AestheticReward || reward instanceof ImageTextReward);
      const values = await randn([2, 17, 15, 3], { device, seed: 3 }).read();
      const image = leaf(tensor(values, [2, 17, 15, 3], { device }));
      gradients([sum(reward.plain(image, captions))], [tensor([1], [1], { device }).handle]);
      const gradient = await image.grad!.read();
      const moved = async (step: number) => {
        const there = values.map((x, i) => x + step * Math.sign(gradient[i]!));
        const scores = await reward.plain(tensor(there, image.shape, { device }), captions).read();
        return scores[0]! + scores[1]!;
      };
      const slope = ((await moved(2e-3)) - (await moved(-2e-3))) / 4e-3;
      const exact = gradient.reduce((total, g) => total + Math.abs(g), 0);
      assert.ok(Math.abs(slope / exact - 1) < 2e-2, `${slope} for ${exact}`);
      reward.dispose();
    });
});
