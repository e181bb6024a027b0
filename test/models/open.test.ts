// Saved under the names on disk and opened again: every model's weights, bit for bit.
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { suite } from "uvu";
import { saveFolder } from "../../ts/checkpoint/folder.js";
import { autoencoderConfig } from "../../ts/models/autoencoder/config.js";
import { Autoencoder } from "../../ts/models/autoencoder/model.js";
import { autoencoderNames } from "../../ts/models/autoencoder/names.js";
import { clipTextConfig, hfClipConfig, openClipConfig } from "../../ts/models/clip/config.js";
import { clipTextNames, hfClipNames, openClipNames } from "../../ts/models/clip/names.js";
import { ClipText } from "../../ts/models/clip/text_model.js";
import { TwoTower } from "../../ts/models/clip/two_tower.js";
import { fluxConfig } from "../../ts/models/flux/config.js";
import { Flux } from "../../ts/models/flux/model.js";
import { fluxNames } from "../../ts/models/flux/names.js";
import {
  openAutoencoder,
  openClipText,
  openFlux,
  openT5,
  openTwoTower,
} from "../../ts/models/open.js";
import { t5Config } from "../../ts/models/t5/config.js";
import { T5Encoder } from "../../ts/models/t5/model.js";
import { t5Names } from "../../ts/models/t5/names.js";
import { initializeParameters } from "../../ts/nn/init.js";
import type { JsonObject } from "../../ts/nn/config_reader.js";
import type { NamesMap } from "../../ts/nn/names_map.js";
import type { ParameterSet, ParameterSetOptions } from "../../ts/nn/parameter_set.js";
import { tensorsToWrite } from "../../ts/nn/save.js";
import { tinyFlux } from "../support/tiny_flux.js";

interface Model {
  readonly parameters: ParameterSet;
  dispose: () => void;
}
interface Case {
  readonly name: string;
  readonly config: JsonObject;
  readonly configFile?: string;
  readonly make: (options: ParameterSetOptions) => { model: Model; map: NamesMap };
  readonly open: (folder: string, options: ParameterSetOptions) => Promise<Model>;
}

const vae = {
  block_out_channels: [8, 16, 24],
  latent_channels: 3,
  layers_per_block: 1,
  norm_num_groups: 4,
  scaling_factor: 0.5,
  use_quant_conv: false,
  use_post_quant_conv: false,
};
const text = {
  vocab_size: 11,
  hidden_size: 12,
  intermediate_size: 20,
  num_hidden_layers: 2,
  num_attention_heads: 3,
  max_position_embeddings: 9,
};
const vision = { ...text, image_size: 9, patch_size: 3, hidden_act: "gelu" };
const clip = {
  embed_dim: 6,
  vision_cfg: { image_size: 8, layers: 2, width: 24, head_width: 8, patch_size: 4 },
  text_cfg: { context_length: 7, vocab_size: 11, width: 16, heads: 2, layers: 1 },
};
const t5 = {
  feed_forward_proj: "gated-gelu",
  vocab_size: 11,
  d_model: 10,
  num_layers: 2,
  num_heads: 3,
  d_kv: 4,
  d_ff: 13,
};

const cases: readonly Case[] = [
  ...(["diffusers", "bfl"] as const).flatMap((naming): Case[] => [
    {
      name: `FLUX in ${naming} naming`,
      config: tinyFlux,
      make: (options) => ({
        model: new Flux(fluxConfig(tinyFlux), options),
        map: fluxNames(fluxConfig(tinyFlux), naming),
      }),
      open: openFlux,
    },
    {
      name: `the autoencoder in ${naming} naming`,
      config: vae,
      make: (options) => ({
        model: new Autoencoder(autoencoderConfig(vae), options),
        map: autoencoderNames(autoencoderConfig(vae), naming),
      }),
      open: openAutoencoder,
    },
  ]),
  {
    name: "CLIP text",
    config: text,
    make: (options) => ({
      model: new ClipText(clipTextConfig(text), options),
      map: clipTextNames(clipTextConfig(text)),
    }),
    open: openClipText,
  },
  {
    name: "T5",
    config: t5,
    make: (options) => ({
      model: new T5Encoder(t5Config(t5), options),
      map: t5Names(t5Config(t5)),
    }),
    open: openT5,
  },
  {
    name: "OpenCLIP",
    config: { model_cfg: clip },
    configFile: "open_clip_config.json",
    make: (options) => ({
      model: new TwoTower(openClipConfig(clip), options),
      map: openClipNames(openClipConfig(clip)),
    }),
    open: openTwoTower,
  },
  {
    name: "transformers' CLIP",
    config: { projection_dim: 6, text_config: text, vision_config: vision },
    make: (options) => {
      const config = hfClipConfig({ projection_dim: 6, text_config: text, vision_config: vision });
      return { model: new TwoTower(config, options), map: hfClipNames(config) };
    },
    open: openTwoTower,
  },
];

const test = suite("save and open");
let folder: string;
test.before(() => {
  folder = mkdtempSync(path.join(os.tmpdir(), "srpo-models-"));
});
test.after(() => rmSync(folder, { recursive: true, force: true }));

for (const { name, config, configFile = "config.json", make, open } of cases)
  for (const dtype of ["float32", "bfloat16"] as const)
    test(`${name}, ${dtype}, in several shards`, async () => {
      const place = path.join(folder, `${name}-${dtype}`);
      const { model, map } = make({ dtype });
      initializeParameters(model.parameters, 3n);
      await saveFolder(place, async (writer) => {
        await writer.json(configFile, config);
        const tensors = tensorsToWrite(model.parameters, map);
        await writer.sharded("diffusion_pytorch_model", tensors, { maxShardBytes: 20_000 });
      });
      const opened = await open(place, { dtype });
      assert.deepEqual(
        await opened.parameters.weights.readBytes(),
        await model.parameters.weights.readBytes(),
      );
      model.dispose();
      opened.dispose();
    });

test("a folder with wrong tensors frees what it took and names them all", async () => {
  const place = path.join(folder, "wrong");
  const config = t5Config(t5);
  const model = new T5Encoder(config);
  await saveFolder(place, async (writer) => {
    await writer.json("config.json", { ...t5, num_layers: 3, vocab_size: 12 });
    const tensors = tensorsToWrite(model.parameters, t5Names(config));
    await writer.safetensors("model.safetensors", tensors);
  });
  await assert.rejects(openT5(place), (error: Error & { code?: string }) => {
    assert.equal(error.code, "ERR_CHECKPOINT");
    assert.match(error.message, /missing: encoder\.block\.2.+layer_norm.+SelfAttention\.q/);
    assert.match(error.message, /shared\.weight: expected \[12, 10\], got \[11, 10\]/);
    return true;
  });
  model.dispose();
});
test.run();
