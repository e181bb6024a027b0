// Small rewards of every kind in their public layouts, with weights drawn from a seed.
import { mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { saveFolder } from "../../ts/checkpoint/folder.js";
import { hfClipConfig, openClipConfig } from "../../ts/models/clip/config.js";
import { hfClipNames, openClipNames } from "../../ts/models/clip/names.js";
import { TwoTower } from "../../ts/models/clip/two_tower.js";
import { imageRewardConfig } from "../../ts/models/image_reward/config.js";
import { ImageReward } from "../../ts/models/image_reward/model.js";
import { imageRewardNames } from "../../ts/models/image_reward/names.js";
import { aestheticConfig } from "../../ts/models/siglip/config.js";
import { AestheticPredictor } from "../../ts/models/siglip/model.js";
import { aestheticNamesIn } from "../../ts/models/siglip/names.js";
import { initializeParameters } from "../../ts/nn/init.js";
import type { NamesMap } from "../../ts/nn/names_map.js";
import type { ParameterSet } from "../../ts/nn/parameter_set.js";
import { tensorsToWrite } from "../../ts/nn/save.js";
import { tensor } from "../../ts/tensor/tensor.js";
import { writeLearnedClip } from "../../ts/text/index.js";
import { encodePng, type Picture } from "../../ts/data/png.js";

/** What the pictures are to show. */
export const captions = ["a red fox in the snow", "the cat, painted"] as const;

/** Bytes of a generator that Python writes as well: X <- 1664525 X + 1013904223 mod 2^32, its top eight bits. */
export function noisePicture(width: number, height: number, seed: number): Picture {
  let state = seed;
  const rgb = Uint8Array.from({ length: width * height * 3 }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state >>> 24;
  });
  return { width, height, rgb };
}

/** A broad and a tall picture with their captions, NAME.png and NAME.txt. */
export function writePictures(folder: string): void {
  mkdirSync(folder, { recursive: true });
  for (const [i, [width, height]] of (
    [
      [31, 20],
      [15, 26],
    ] as const
  ).entries()) {
    writeFileSync(path.join(folder, `${i}.png`), encodePng(noisePicture(width, height, i + 1)));
    writeFileSync(path.join(folder, `${i}.txt`), `${captions[i]}\n`);
  }
}

async function write(
  folder: string,
  json: Readonly<Record<string, unknown>>,
  parts: readonly (readonly [file: string, set: ParameterSet, map: NamesMap])[],
): Promise<void> {
  await saveFolder(folder, async (writer) => {
    for (const [name, value] of Object.entries(json)) await writer.json(name, value);
    for (const [file, set, map] of parts)
      await writer.sharded(file, tensorsToWrite(set, map, {}), {});
  });
}

const only = (map: NamesMap, wanted: (disk: string) => boolean): NamesMap => ({
  ...map,
  tensors: map.tensors.filter(({ disk }) => wanted(disk)),
});

const words =
  "[PAD] [UNK] [CLS] [SEP] [MASK] a red fox in the snow , cat paint ##ed ##ing x ##x".split(" ");

const openClipJson = (vocabulary: number) => ({
  embed_dim: 12,
  vision_cfg: { image_size: 12, layers: 2, width: 24, head_width: 8, patch_size: 5 },
  text_cfg: { context_length: 16, vocab_size: vocabulary, width: 16, heads: 2, layers: 2 },
});

const hfJson = (vocabulary: number) => ({
  model_type: "clip",
  projection_dim: 12,
  text_config: {
    hidden_size: 16,
    intermediate_size: 20,
    num_attention_heads: 2,
    num_hidden_layers: 2,
    hidden_act: "gelu",
    vocab_size: vocabulary,
    max_position_embeddings: 16,
    eos_token_id: 2,
  },
  vision_config: {
    hidden_size: 24,
    intermediate_size: 28,
    num_attention_heads: 3,
    num_hidden_layers: 2,
    hidden_act: "gelu",
    image_size: 12,
    patch_size: 4,
  },
});

const siglipJson = {
  model_type: "siglip",
  vision_config: {
    hidden_size: 24,
    intermediate_size: 20,
    num_attention_heads: 3,
    num_hidden_layers: 2,
    image_size: 14,
    patch_size: 4,
  },
  head_dims: [24, 12, 6, 1],
};

const imageRewardJson = {
  vis: { embed_dim: 24, depth: 2, num_heads: 3, img_size: 12, patch_size: 4 },
  txt: {
    hidden_size: 16,
    num_hidden_layers: 2,
    num_attention_heads: 2,
    intermediate_size: 20,
    vocab_size: words.length + 2,
    max_position_embeddings: 12,
  },
  mlp: [16, 12, 8, 6, 4, 1],
};

/** Writes hps, pickscore, aesthetic and imagereward into a folder. */
export async function writeRewards(root: string): Promise<void> {
  const at = (name: string) => path.join(root, name);
  const vocabulary = 530;
  const draw = (set: ParameterSet, seed: bigint) => initializeParameters(set, seed);

  const hps = new TwoTower(openClipConfig(openClipJson(vocabulary)));
  draw(hps.parameters, 1n);
  await write(at("hps"), { "open_clip_config.json": { model_cfg: openClipJson(vocabulary) } }, [
    ["open_clip_model", hps.parameters, openClipNames(hps.config)],
  ]);
  const pick = new TwoTower(hfClipConfig(hfJson(vocabulary)));
  draw(pick.parameters, 2n);
  pick.parameters.get("logit_scale").copyFrom(tensor([3.25]));
  await write(at("pickscore"), { "config.json": hfJson(vocabulary) }, [
    ["model", pick.parameters, hfClipNames(pick.config)],
  ]);
  for (const name of ["hps", "pickscore"])
    await writeLearnedClip(at(name), captions, { size: vocabulary, maxLength: 16 });

  const aesthetic = new AestheticPredictor(aestheticConfig(siglipJson));
  draw(aesthetic.parameters, 3n);
  const map = aestheticNamesIn(aesthetic.config, []);
  const isHead = (disk: string) => disk.startsWith("scoring_head.");
  await write(at("aesthetic"), { "config.json": siglipJson }, [
    ["model", aesthetic.parameters, only(map, (disk) => !isHead(disk))],
    ["aesthetic_predictor_v2_5", aesthetic.parameters, only(map, isHead)],
  ]);

  const reward = new ImageReward(imageRewardConfig(imageRewardJson));
  draw(reward.parameters, 4n);
  await write(at("imagereward"), { "config.json": imageRewardJson }, [
    ["ImageReward", reward.parameters, imageRewardNames(reward.config)],
  ]);
  writeFileSync(path.join(at("imagereward"), "vocab.txt"), `${words.join("\n")}\n`);
  for (const model of [hps, pick, aesthetic, reward]) model.dispose();
}
