import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { backward } from "../../ts/autograd/backward.js";
import { saveFolder } from "../../ts/checkpoint/folder.js";
import { hfClipConfig } from "../../ts/models/clip/config.js";
import { hfClipNames } from "../../ts/models/clip/names.js";
import { TwoTower } from "../../ts/models/clip/two_tower.js";
import { tensorsToWrite } from "../../ts/nn/save.js";
import { affine, clamp } from "../../ts/ops/index.js";
import { TwoTowerReward } from "../../ts/rewards/two_tower_reward.js";
import { tensorScope } from "../../ts/tensor/scope.js";
import { tensor, type Tensor } from "../../ts/tensor/tensor.js";
import { writeLearnedClip } from "../../ts/text/index.js";
import { forEachDevice, leaf, memoryInUse, randn, relativeError } from "../support/index.js";
import { captions, drawWeights, tiny, tinyTokenizer } from "../methods/tiny.js";

const hfJson = (vocabulary: number) => ({
  projection_dim: 6,
  logit_scale_init_value: 2.6592,
  text_config: {
    vocab_size: vocabulary,
    hidden_size: 12,
    intermediate_size: 20,
    num_hidden_layers: 2,
    num_attention_heads: 3,
    max_position_embeddings: 16,
    eos_token_id: 2,
  },
  vision_config: {
    hidden_size: 12,
    intermediate_size: 20,
    num_hidden_layers: 1,
    num_attention_heads: 2,
    image_size: 8,
    patch_size: 4,
  },
});
const logitScale = 4.6052;

/** Rows of [B, E] with length 1, in float64. */
async function normalised(raw: Tensor): Promise<number[][]> {
  const [values, width] = [await raw.read(), raw.dim(1)];
  return Array.from({ length: raw.dim(0) }, (_, b) => {
    const row = Array.from(values.slice(b * width, (b + 1) * width));
    const norm = Math.sqrt(row.reduce((sum, x) => sum + x * x, 0));
    return row.map((x) => x / norm);
  });
}

forEachDevice("TwoTowerReward", (test, device) => {
  const picture = () => clamp(affine(randn([2, 11, 13, 3], { device, seed: 4 }), 0.25, 0.5), 0, 1);
  const k = [0.17, -0.4];
  const wanted = [captions[0]!, captions[1]!];
  const unwanted = [captions[2]!, captions[3]!];

  /** scale * phi . ((1 + k) wanted - unwanted), text rows one prompt at a time and not padded. */
  async function composed(
    { tower, tokenizer }: TwoTowerReward,
    image: Tensor,
    scale: number,
  ): Promise<number[]> {
    const text = async (prompt: string) =>
      (await normalised(tower.encodeTextRaw([tokenizer.encode(prompt)])))[0]!;
    const phi = await normalised(tower.projectImage(tower.encodeImage(tower.preprocess(image))));
    const rewards = [];
    for (const [b, row] of phi.entries()) {
      const [plus, minus] = [await text(wanted[b]!), await text(unwanted[b]!)];
      const dots = row.map((x, i) => x * ((1 + k[b]!) * plus[i]! - minus[i]!));
      rewards.push(scale * dots.reduce((sum, x) => sum + x, 0));
    }
    return rewards;
  }

  const score = (reward: TwoTowerReward, image: Tensor) =>
    reward.score(image, reward.textFeatures(wanted), reward.textFeatures(unwanted), k);

  test("HPS: the cosines' semantic relative form", async () => {
    const { reward, ...model } = await tiny(device);
    const image = picture();
    const exact = await composed(reward, image, 1);
    assert.ok(relativeError(await score(reward, image).read(), exact) < 1e-5);
    model.dispose();
  });

  async function pickScore(): Promise<{ tower: TwoTower; json: ReturnType<typeof hfJson> }> {
    const { vocabularySize } = await tinyTokenizer("hf", 16);
    const json = hfJson(vocabularySize);
    const tower = new TwoTower(hfClipConfig(json), { device });
    drawWeights(tower.parameters, 5);
    tower.parameters.get("logit_scale").copyFrom(tensor([logitScale], [1], { device }));
    return { tower, json };
  }

  for (const dtype of ["float32", "bfloat16"] as const)
    test(`PickScore from its folder, ${dtype}: exp(logit_scale) / 20, padding masked`, async () => {
      const root = mkdtempSync(path.join(os.tmpdir(), "srpo-reward-"));
      try {
        const { tower, json } = await pickScore();
        const folder = path.join(root, "reward");
        await saveFolder(folder, async (writer) => {
          await writer.json("config.json", json);
          const map = hfClipNames(tower.config);
          await writer.sharded("model", tensorsToWrite(tower.parameters, map, {}), {});
        });
        tower.dispose();
        await writeLearnedClip(folder, captions, { size: 520, maxLength: 16 });
        const reward = await TwoTowerReward.load(folder, { device, dtype });
        const scale = Math.exp(Math.fround(logitScale)) / 20;
        assert.ok(Math.abs(reward.scale / scale - 1) < 1e-6, `${reward.scale} for ${scale}`);
        const image = picture();
        const exact = await composed(reward, image, scale);
        const error = relativeError(await score(reward, image).read(), exact);
        assert.ok(error < (dtype === "float32" ? 1e-5 : 5e-2), `${error}`);
        reward.dispose();
      } finally {
        rmSync(root, { recursive: true, force: true });
      }
    });

  test("the picture's gradient is the reward's slope, and nothing else gets one", async () => {
    const { reward, ...model } = await tiny(device);
    const image = leaf(picture());
    backward(score(reward, image), tensor([1, 1], [2], { device }));
    const [gradient, values] = [await image.grad!.read(), await image.read()];
    const step = 1e-2;
    const direction = gradient.map((g) => Math.sign(g));
    const at = async (sign: number) => {
      const moved = values.map((x, i) => x + sign * step * direction[i]!);
      const rewards = await score(reward, tensor(moved, image.shape, { device })).read();
      return rewards[0]! + rewards[1]!;
    };
    const slope = ((await at(1)) - (await at(-1))) / (2 * step);
    const exact = gradient.reduce((sum, g) => sum + Math.abs(g), 0);
    assert.ok(Math.abs(slope / exact - 1) < 2e-2, `${slope} for ${exact}`);
    assert.equal(reward.tower.parameters.gradients, undefined);
    model.dispose();
  });

  test("a prompt is encoded once, outlives its scope, and costs nothing the second time", async () => {
    const { reward, ...model } = await tiny(device);
    let encoded = 0;
    const { tower } = reward;
    const original = tower.encodeText.bind(tower);
    tower.encodeText = (...args) => {
      encoded += 1;
      return original(...args);
    };
    const read = () => {
      using scope = tensorScope();
      void scope;
      return reward.textFeatures([...wanted, wanted[0]!]).read();
    };
    const first = await read();
    assert.equal(encoded, 2);
    const before = await memoryInUse(device);
    const second = await read();
    assert.equal(encoded, 2);
    assert.equal(await memoryInUse(device), before);
    assert.deepEqual(second, first);
    assert.deepEqual(first.slice(0, 6), first.slice(12));
    const length = Math.sqrt(first.slice(0, 6).reduce((sum, x) => sum + x * x, 0));
    assert.ok(Math.abs(length - 1) < 1e-6);
    model.dispose();
  });
});
