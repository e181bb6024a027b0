// The aesthetic predictor and ImageReward: their public configs, and their public files' names.
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import { suite } from "uvu";
import { imageRewardConfig, imageRewardV1 } from "../../ts/models/image_reward/config.js";
import { ImageReward } from "../../ts/models/image_reward/model.js";
import { imageRewardNames } from "../../ts/models/image_reward/names.js";
import { aestheticConfig, siglipConfig } from "../../ts/models/siglip/config.js";
import { aestheticNamesIn } from "../../ts/models/siglip/names.js";
import { aestheticParameters } from "../../ts/models/siglip/parameters.js";
import { packageRoot } from "../../ts/native/load.js";
import { sizeOf } from "../../ts/nn/parameter.js";
import { zeros } from "../../ts/tensor/tensor.js";

const test = suite("aesthetic predictor and ImageReward");

// google/siglip-so400m-patch14-384, config.json: what it says of the image tower.
const so400m = {
  model_type: "siglip",
  text_config: { hidden_size: 1152 },
  vision_config: {
    hidden_size: 1152,
    image_size: 384,
    intermediate_size: 4304,
    model_type: "siglip_vision_model",
    num_attention_heads: 16,
    num_hidden_layers: 27,
    patch_size: 14,
  },
};

test("SigLIP's public config, of the whole model or of the tower, gives v2.5's sizes", () => {
  const config = aestheticConfig(so400m);
  assert.deepEqual(config, {
    tower: {
      width: 1152,
      heads: 16,
      layers: 27,
      mlp: 4304,
      eps: 1e-6,
      imageSize: 384,
      patchSize: 14,
    },
    head: [1024, 128, 64, 16, 1],
  });
  assert.deepEqual(aestheticConfig(so400m.vision_config), config);
  assert.deepEqual(siglipConfig(so400m.vision_config), config.tower);
});

test("ImageReward's med_config.json gives v1.0", () => {
  const medConfig = {
    architectures: ["BertModel"],
    hidden_act: "gelu",
    hidden_size: 768,
    intermediate_size: 3072,
    layer_norm_eps: 1e-12,
    max_position_embeddings: 512,
    model_type: "bert",
    num_attention_heads: 12,
    num_hidden_layers: 12,
    vocab_size: 30524,
    encoder_width: 768,
    add_cross_attention: true,
  };
  assert.deepEqual(imageRewardConfig(medConfig), imageRewardV1);
});

test("every wrong value is named", () => {
  assert.throws(
    () => aestheticConfig({ hidden_size: 10, num_attention_heads: 4, head_dims: [8, 2] }),
    {
      code: "ERR_CONFIG",
      message:
        "siglip config: head_dims: expected widths from the tower's 10 to 1, got [8,2]; " +
        "vision_config.hidden_size: expected a multiple of the 4 heads, got 10",
    },
  );
  assert.throws(
    () => imageRewardConfig({ vis: { img_size: 20 }, txt: { hidden_act: "relu" }, mlp: [4, 1] }),
    {
      code: "ERR_CONFIG",
      message:
        "ImageReward config: mlp: expected six widths from the text's 768 to 1, got [4,1]; " +
        'txt.hidden_act: expected "gelu", got "relu"; ' +
        "vis.img_size: expected a multiple of the patch, 16, got 20",
    },
  );
});

const small = imageRewardConfig({
  vis: { embed_dim: 8, depth: 1, num_heads: 2, img_size: 4, patch_size: 4 },
  txt: { hidden_size: 8, num_hidden_layers: 1, num_attention_heads: 2, max_position_embeddings: 3 },
  mlp: [8, 1, 1, 1, 1, 1],
});

test("texts that do not fit their images are refused by name", () => {
  const model = new ImageReward(small);
  const pixels = zeros([2, 4, 4, 3]);
  for (const [ids, mask] of [
    [[[1, 2]], undefined],
    [[[1, 2], [1]], undefined],
    [
      [
        [1, 2, 3, 4],
        [1, 2, 3, 4],
      ],
      undefined,
    ],
    [
      [
        [1, 2],
        [1, 2],
      ],
      [[1, 1]],
    ],
  ] as [number[][], number[][] | undefined][])
    assert.throws(() => model.encode(pixels, ids, mask === undefined ? {} : { mask }), {
      code: "ERR_SHAPE",
      message:
        /^imageReward: ids: expected 2 texts \(and masks\) of one length, 1 to 3, got \[.*\] and \[.*\]$/,
    });
  model.dispose();
});

// Full-size lists are other people's; they are read where they lie.
const folder = path.resolve(packageRoot, "..", "shared", "spec", "manifests");
const onManifests = (title: string, run: () => void) =>
  existsSync(folder) ? test(title, run) : test.skip(title, run);
type Tensors = Readonly<Record<string, { shape: readonly number[] }>>;
const manifest = (name: string): Tensors =>
  (JSON.parse(readFileSync(path.join(folder, `${name}.json`), "utf8")) as { tensors: Tensors })
    .tensors;

onManifests("tower and head are one model, in one file or two", () => {
  const config = aestheticConfig(so400m);
  const tower = manifest("siglip-so400m-patch14-384.vision");
  const head = manifest("aesthetic_predictor_v2_5.head");
  for (const prefix of ["", "layers."]) {
    const all = {
      ...tower,
      ...Object.fromEntries(Object.entries(head).map(([name, t]) => [prefix + name, t])),
    };
    const map = aestheticNamesIn(config, Object.keys(all));
    assert.deepEqual(
      Object.fromEntries(map.tensors.map(({ disk, shape }) => [disk, { shape }])),
      Object.fromEntries(Object.entries(all).map(([name, { shape }]) => [name, { shape }])),
    );
    const total = aestheticParameters(config).reduce((sum, { shape }) => sum + sizeOf(shape), 0);
    assert.equal(total, 428225600 + 1321185);
    assert.ok(map.ignores("text_model.embeddings.token_embedding.weight"));
    assert.ok(!map.ignores(`${prefix}scoring_head.10.weight`));
  }
});

onManifests("ImageReward.pt: every tensor once", () => {
  const all = manifest("imagereward_v1.0");
  const map = imageRewardNames(imageRewardV1);
  assert.deepEqual(
    Object.fromEntries(map.tensors.map(({ disk, shape }) => [disk, shape])),
    Object.fromEntries(Object.entries(all).map(([name, { shape }]) => [name, shape])),
  );
});
test.run();
