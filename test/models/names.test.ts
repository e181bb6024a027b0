import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import { suite } from "uvu";
import { packageRoot } from "../../ts/native/load.js";
import { autoencoderConfig } from "../../ts/models/autoencoder/config.js";
import { autoencoderNames, autoencoderNamesIn } from "../../ts/models/autoencoder/names.js";
import { autoencoderParameters } from "../../ts/models/autoencoder/parameters.js";
import { clipTextConfig, hfClipConfig, openClipConfig } from "../../ts/models/clip/config.js";
import { clipTextNames, hfClipNames, openClipNames } from "../../ts/models/clip/names.js";
import { clipTextParameters, twoTowerParameters } from "../../ts/models/clip/parameters.js";
import { fluxConfig } from "../../ts/models/flux/config.js";
import { detectFluxNaming, fluxNames, fluxNamesIn } from "../../ts/models/flux/names.js";
import { fluxParameters } from "../../ts/models/flux/parameters.js";
import { t5Config } from "../../ts/models/t5/config.js";
import { t5Names, t5NamesIn } from "../../ts/models/t5/names.js";
import { t5Parameters } from "../../ts/models/t5/parameters.js";
import type { JsonObject } from "../../ts/nn/config_reader.js";
import type { NamesMap } from "../../ts/nn/names_map.js";
import { sizeOf, type Parameter } from "../../ts/nn/parameter.js";

interface Manifest {
  readonly config: JsonObject;
  readonly tensors: Readonly<Record<string, { shape: readonly number[] }>>;
  readonly optional_tensors?: Readonly<Record<string, unknown>>;
  readonly parameter_count: number;
}

/** A model's parameters and the map to a file's names, from the config beside the file. */
interface Case {
  readonly manifest: string;
  readonly model: (config: JsonObject) => { map: NamesMap; parameters: readonly Parameter[] };
}

const flux = (naming: "bfl" | "diffusers") => (json: JsonObject) => {
  const config = fluxConfig(json);
  return { map: fluxNames(config, naming), parameters: fluxParameters(config) };
};
const vae = (naming: "bfl" | "diffusers") => (json: JsonObject) => {
  const config = autoencoderConfig(json);
  return { map: autoencoderNames(config, naming), parameters: autoencoderParameters(config) };
};
const cases: readonly Case[] = [
  { manifest: "flux1-dev.transformer.diffusers", model: flux("diffusers") },
  { manifest: "flux1-dev.transformer.bfl", model: flux("bfl") },
  { manifest: "flux1-schnell.transformer.diffusers", model: flux("diffusers") },
  { manifest: "flux1-schnell.transformer.bfl", model: flux("bfl") },
  { manifest: "flux1.vae.diffusers", model: vae("diffusers") },
  { manifest: "flux1.ae.bfl", model: vae("bfl") },
  {
    manifest: "flux1.text_encoder.clip-l",
    model: (json) => {
      const config = clipTextConfig(json);
      return { map: clipTextNames(config), parameters: clipTextParameters(config) };
    },
  },
  {
    manifest: "flux1.text_encoder_2.t5-xxl",
    model: (json) => {
      const config = t5Config(json);
      return { map: t5Names(config), parameters: t5Parameters(config) };
    },
  },
  {
    manifest: "hps_v2.1.openclip-vit-h-14",
    model: (json) => {
      const config = openClipConfig(json);
      return { map: openClipNames(config), parameters: twoTowerParameters(config) };
    },
  },
  {
    manifest: "pickscore_v1.hf-clip-vit-h-14",
    model: (json) => {
      const config = hfClipConfig(json);
      return { map: hfClipNames(config), parameters: twoTowerParameters(config) };
    },
  },
];

/** Every element of every parameter stands in exactly one tensor on disk. */
function assertCovers(map: NamesMap, parameters: readonly Parameter[]): void {
  const ofParameter = new Map<string, [start: number, end: number][]>();
  const names = new Set<string>();
  for (const { disk, name, offset, shape } of map.tensors) {
    assert.ok(!names.has(disk), `${disk} stands twice`);
    names.add(disk);
    ofParameter.set(name, [...(ofParameter.get(name) ?? []), [offset, offset + sizeOf(shape)]]);
  }
  for (const { name, shape } of parameters) {
    const ranges = (ofParameter.get(name) ?? []).sort(([a], [b]) => a - b);
    let end = 0;
    for (const [from, to] of ranges) {
      assert.equal(from, end, `${name}: a hole or an overlap at ${end}`);
      end = to;
    }
    assert.equal(end, sizeOf(shape), `${name}: covered to ${end}`);
  }
  assert.equal(ofParameter.size, parameters.length);
}

// Full-size shapes are other people's lists; they are read where they lie, and not copied here.
const folder = path.resolve(packageRoot, "..", "shared", "spec", "manifests");
const manifests = suite("names of the public checkpoints");
for (const { manifest, model } of cases) {
  const file = path.join(folder, `${manifest}.json`);
  const title = `${manifest} maps every tensor once`;
  if (!existsSync(file)) {
    manifests.skip(title, () => {});
    continue;
  }
  manifests(title, () => {
    const json = JSON.parse(readFileSync(file, "utf8")) as Manifest;
    const { map, parameters } = model(json.config);
    assertCovers(map, parameters);
    const ours = new Map(map.tensors.map(({ disk, shape }) => [disk, shape]));
    for (const [name, { shape }] of Object.entries(json.tensors))
      assert.deepEqual(ours.get(name), shape, name);
    assert.equal(ours.size, Object.keys(json.tensors).length);
    const elements = parameters.reduce((sum, { shape }) => sum + sizeOf(shape), 0);
    assert.equal(elements, json.parameter_count);
    for (const name of Object.keys(json.optional_tensors ?? {}))
      assert.ok(map.ignores(name), `${name} is refused`);
  });
}
manifests.run();

const small = fluxConfig({
  num_layers: 1,
  num_single_layers: 1,
  num_attention_heads: 2,
  attention_head_dim: 16,
  axes_dims_rope: [4, 6, 6],
  joint_attention_dim: 24,
  pooled_projection_dim: 20,
  guidance_embeds: true,
});
const detection = suite("names on disk are told by their content");
for (const naming of ["bfl", "diffusers"] as const)
  for (const prefix of ["", "model.diffusion_model.", "transformer."])
    detection(`${naming} behind "${prefix}"`, () => {
      const names = fluxNames(small, naming).tensors.map(({ disk }) => prefix + disk);
      assert.deepEqual(detectFluxNaming(names), { naming, prefix });
      const map = fluxNamesIn(small, names);
      assert.deepEqual(map.tensors.map(({ disk }) => disk).sort(), names.sort());
      assertCovers(map, fluxParameters(small));
      // An all-in-one file has the autoencoder beside it; without a prefix nothing else belongs there.
      assert.equal(map.ignores("first_stage_model.decoder.conv_in.weight"), prefix !== "");
    });

detection("an autoencoder's, part by part", () => {
  const config = autoencoderConfig({
    block_out_channels: [32, 64],
    latent_channels: 4,
    layers_per_block: 1,
    norm_num_groups: 32,
    scaling_factor: 1,
    use_quant_conv: false,
    use_post_quant_conv: false,
  });
  for (const naming of ["bfl", "diffusers"] as const) {
    const both = autoencoderNames(config, naming);
    assertCovers(both, autoencoderParameters(config));
    const names = both.tensors.map(({ disk }) => disk);
    assert.deepEqual(autoencoderNamesIn(config, names).tensors, both.tensors);
    const decoder = autoencoderNamesIn(config, names, ["decoder"]);
    assertCovers(decoder, autoencoderParameters(config, ["decoder"]));
    assert.ok(names.filter((n) => n.startsWith("encoder.")).every((n) => decoder.ignores(n)));
  }
});

detection("a T5 that keeps its embedding under the tied name", () => {
  const config = t5Config({
    feed_forward_proj: "gated-gelu",
    vocab_size: 10,
    d_model: 8,
    num_layers: 1,
    num_heads: 2,
    d_kv: 4,
    d_ff: 12,
  });
  const names = t5Names(config).tensors.map(({ disk }) => disk);
  const tied = names.map((n) => (n === "shared.weight" ? "encoder.embed_tokens.weight" : n));
  assert.deepEqual(
    t5NamesIn(config, tied).tensors.map(({ disk }) => disk),
    tied,
  );
});
detection.run();
