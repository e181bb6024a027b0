// The public checkpoints, full size: every tensor of each stands once in the map of its model, in every container
// and layout that it comes in. The files are holes with true headers, so that nothing of 24 GB is allocated.
import assert from "node:assert/strict";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { crc32 } from "node:zlib";
import { suite } from "uvu";
import type { FileDType } from "../../ts/checkpoint/file_dtype.js";
import { openTensors } from "../../ts/checkpoint/sharded.js";
import { autoencoderConfig, fluxAutoencoder } from "../../ts/models/autoencoder/config.js";
import { autoencoderNamesIn } from "../../ts/models/autoencoder/names.js";
import { autoencoderParameters } from "../../ts/models/autoencoder/parameters.js";
import { clipTextConfig, hfClipConfig, openClipConfig } from "../../ts/models/clip/config.js";
import { clipTextNamesIn, twoTowerLayoutIn, twoTowerNamesIn } from "../../ts/models/clip/names.js";
import { clipTextParameters, twoTowerParameters } from "../../ts/models/clip/parameters.js";
import { fluxConfig } from "../../ts/models/flux/config.js";
import { inferFluxConfig } from "../../ts/models/flux/infer.js";
import { fluxNamesIn } from "../../ts/models/flux/names.js";
import { fluxParameters } from "../../ts/models/flux/parameters.js";
import { imageRewardV1 } from "../../ts/models/image_reward/config.js";
import { imageRewardNames } from "../../ts/models/image_reward/names.js";
import { imageRewardParameters } from "../../ts/models/image_reward/parameters.js";
import { partsIn } from "../../ts/models/pipeline/places.js";
import * as known from "../../ts/models/public_configs.js";
import { siglipConfig } from "../../ts/models/siglip/config.js";
import { aestheticHeadNames, siglipNames } from "../../ts/models/siglip/names.js";
import { aestheticHeadParameters, siglipParameters } from "../../ts/models/siglip/parameters.js";
import { t5Config } from "../../ts/models/t5/config.js";
import { t5NamesIn } from "../../ts/models/t5/names.js";
import { t5Parameters } from "../../ts/models/t5/parameters.js";
import { packageRoot } from "../../ts/native/load.js";
import type { JsonObject } from "../../ts/nn/config_reader.js";
import { problemsOf } from "../../ts/nn/load.js";
import type { NamesMap } from "../../ts/nn/names_map.js";
import { sizeOf, type Parameter } from "../../ts/nn/parameter.js";
import { sparseSafetensors, sparseZip, storageClass } from "../support/sparse_files.js";
import { pickleOf, tensorOf } from "../checkpoint/torch_bytes.js";

type Tensors = Record<string, { dtype: FileDType; shape: number[]; shard?: number }>;
interface Manifest {
  readonly config: JsonObject;
  readonly tensors: Tensors;
  readonly optional_tensors?: Tensors;
  readonly parameter_count: number;
  readonly files: readonly string[];
  readonly index?: string;
}
interface Model {
  readonly map: NamesMap;
  readonly parameters: readonly Parameter[];
}
type Make = (config: JsonObject, names: readonly string[]) => Model;

const flux: Make = (json, names) => {
  const config = fluxConfig(json);
  return { map: fluxNamesIn(config, names), parameters: fluxParameters(config) };
};
const vae: Make = (json, names) => {
  const config = autoencoderConfig(json);
  assert.deepEqual(config, fluxAutoencoder);
  return { map: autoencoderNamesIn(config, names), parameters: autoencoderParameters(config) };
};
const clipL: Make = (json, names) => {
  const config = clipTextConfig(json);
  assert.deepEqual(config, clipTextConfig(known.clipLConfigJson));
  return { map: clipTextNamesIn(config, names), parameters: clipTextParameters(config) };
};
const t5: Make = (json, names) => {
  const config = t5Config(json);
  assert.deepEqual(config, t5Config(known.t5XxlConfigJson));
  return { map: t5NamesIn(config, names), parameters: t5Parameters(config) };
};
const twoTower: Make = (json, names) => {
  const hf = twoTowerLayoutIn(names) === "hf";
  const config = hf ? hfClipConfig(json) : openClipConfig(json);
  const alone = hf
    ? hfClipConfig(known.hfClipVitHConfigJson)
    : openClipConfig(known.openClipVitHConfigJson);
  assert.deepEqual({ ...config, text: { ...config.text, endToken: 2 } }, alone);
  return { map: twoTowerNamesIn(config, names), parameters: twoTowerParameters(config) };
};
const models: Readonly<Record<string, Make>> = {
  "flux1-dev.transformer.diffusers": flux,
  "flux1-dev.transformer.bfl": flux,
  "flux1-schnell.transformer.diffusers": flux,
  "flux1-schnell.transformer.bfl": flux,
  "flux1.vae.diffusers": vae,
  "flux1.ae.bfl": vae,
  "flux1.text_encoder.clip-l": clipL,
  "flux1.text_encoder_2.t5-xxl": t5,
  "hps_v2.1.openclip-vit-h-14": twoTower,
  "pickscore_v1.hf-clip-vit-h-14": twoTower,
  "siglip-so400m-patch14-384.vision": (json) => {
    const config = siglipConfig(json);
    return { map: siglipNames(config), parameters: siglipParameters(config) };
  },
  "aesthetic_predictor_v2_5.head": () => ({
    map: aestheticHeadNames(1152),
    parameters: aestheticHeadParameters(1152),
  }),
  "imagereward_v1.0": () => ({
    map: imageRewardNames(imageRewardV1),
    parameters: imageRewardParameters(imageRewardV1),
  }),
};

// Other people's lists; they are read where they lie, and not copied here.
const folder = path.resolve(packageRoot, "..", "shared", "spec", "manifests");
const there = existsSync(folder);
const manifest = (name: string) =>
  JSON.parse(readFileSync(path.join(folder, `${name}.json`), "utf8")) as Manifest;
const temporary = mkdtempSync(path.join(os.tmpdir(), "srpo-manifests-"));
process.on("exit", () => rmSync(temporary, { recursive: true, force: true }));

/** Every element of every parameter stands in exactly one tensor, and every tensor is there in its shape. */
function assertFits(place: string, make: Make, json: JsonObject): void {
  using store = openTensors(place);
  const names = [...store.names()];
  const { map, parameters } = make(json, names);
  assert.deepEqual(problemsOf(map, store), []);
  const covered = new Map<string, number>();
  const disks = new Set(map.tensors.map(({ disk }) => disk));
  assert.equal(disks.size, map.tensors.length);
  for (const { name, offset, shape } of map.tensors) {
    assert.equal(covered.get(name) ?? 0, offset, `${name}: a hole or an overlap`);
    covered.set(name, offset + sizeOf(shape));
  }
  for (const { name, shape } of parameters) assert.equal(covered.get(name), sizeOf(shape), name);
  assert.equal(covered.size, parameters.length);
}

const withPrefix = (prefix: string, tensors: Tensors): Tensors =>
  Object.fromEntries(Object.entries(tensors).map(([name, t]) => [prefix + name, t]));
const inDType = (dtype: FileDType, tensors: Tensors): Tensors =>
  Object.fromEntries(
    Object.entries(tensors).map(([name, t]) => [name, t.dtype === "I64" ? t : { ...t, dtype }]),
  );

/** As ComfyUI scales: matrices in 8 bits with a scale each, the rest as it was. */
function scaled(tensors: Tensors): Tensors {
  const scales: Tensors = { scaled_fp8: { dtype: "F8_E4M3", shape: [0] } };
  for (const [name, { dtype, shape }] of Object.entries(tensors)) {
    const isMatrix = name.endsWith(".weight") && shape.length === 2;
    scales[name] = { dtype: isMatrix ? "F8_E4M3" : dtype, shape };
    if (isMatrix) scales[name.replace(/weight$/, "scale_weight")] = { dtype: "F32", shape: [] };
  }
  return scales;
}

/** The folder with an index and shards that the manifest tells of. */
function sharded(name: string, { tensors, files, index }: Manifest): string {
  const place = path.join(temporary, `${name}-shards`);
  mkdirSync(place);
  files.forEach((file, i) => {
    const own = Object.entries(tensors).filter(([, { shard }]) => shard === i + 1);
    sparseSafetensors(path.join(place, file), Object.fromEntries(own));
  });
  const weights = Object.entries(tensors).map(([key, { shard }]) => [key, files[shard! - 1]]);
  const text = JSON.stringify({ metadata: {}, weight_map: Object.fromEntries(weights) });
  writeFileSync(path.join(place, index!), text);
  return place;
}

/** A PyTorch file, in HPSv2.1's form: a dict with a state_dict. */
function torchFile(name: string, tensors: Tensors): string {
  const file = path.join(temporary, `${name}.pt`);
  const entries = Object.entries(tensors).map(([key, { dtype, shape }], i) => {
    const strides = shape.map((_, d) => sizeOf(shape.slice(d + 1)));
    const elements = sizeOf(shape);
    const storage = storageClass(dtype);
    return [key, tensorOf({ storage, key: String(i), elements, shape, strides })] as const;
  });
  const content = pickleOf({ dict: [["state_dict", { dict: entries }]] });
  const members = Object.values(tensors).map(({ dtype, shape }, i) => ({
    name: `a/data/${i}`,
    bytes: sizeOf(shape) * ({ F32: 4, F16: 2, BF16: 2, I64: 8 }[dtype as "F32"] ?? 0),
  }));
  const pickle = { name: "a/data.pkl", bytes: content.length, content };
  sparseZip(file, [pickle, ...members], (bytes) => crc32(bytes));
  return file;
}

const test = suite("the public checkpoints");
const check = (title: string, body: () => void) => (there ? test(title, body) : test.skip(title));

for (const [name, make] of Object.entries(models))
  check(`${name}: every tensor once, none left, in safetensors and in PyTorch's zip`, () => {
    const { config, tensors, optional_tensors: optional = {}, parameter_count } = manifest(name);
    const { parameters } = make(config, Object.keys(tensors));
    assert.equal(parameters.reduce((sum, { shape }) => sum + sizeOf(shape), 0), parameter_count);
    const file = path.join(temporary, `${name}.safetensors`);
    for (const version of [
      tensors,
      { ...tensors, ...optional },
      inDType("F32", tensors),
      inDType("F16", tensors),
      inDType("F8_E4M3", tensors),
      scaled(tensors),
    ]) {
      sparseSafetensors(file, version);
      assertFits(file, make, config);
    }
    assertFits(torchFile(name, { ...tensors, ...optional }), make, config);
  }); // prettier-ignore

for (const name of Object.keys(models))
  check(`${name}: shards as they are published`, () => {
    const whole = manifest(name);
    if (whole.index === undefined) return;
    assertFits(sharded(name, whole), models[name]!, whole.config);
  });

for (const kind of ["dev", "schnell"])
  for (const naming of ["bfl", "diffusers"])
    check(`FLUX.1-${kind} in ${naming} naming: its config told from its tensors`, () => {
      const { config, tensors } = manifest(`flux1-${kind}.transformer.${naming}`);
      const file = path.join(temporary, "infer.safetensors");
      for (const prefix of ["", "model.diffusion_model."]) {
        sparseSafetensors(file, withPrefix(prefix, tensors));
        using store = openTensors(file);
        assert.deepEqual(inferFluxConfig(store), fluxConfig(config));
        assertFits(file, flux, config);
      }
    });

check("an all-in-one file: each model finds its own, and only that", () => {
  const parts = [
    ["flux1-dev.transformer.bfl", "model.diffusion_model.", flux, "transformer"],
    ["flux1.ae.bfl", "vae.", vae, "vae"],
    ["flux1.text_encoder.clip-l", "text_encoders.clip_l.transformer.", clipL, "text_encoder"],
    ["flux1.text_encoder_2.t5-xxl", "text_encoders.t5xxl.transformer.", t5, "text_encoder_2"],
  ] as const;
  const all: Tensors = {
    "text_encoders.clip_l.transformer.text_projection.weight": { dtype: "F16", shape: [768, 768] },
    "text_encoders.clip_l.logit_scale": { dtype: "F32", shape: [] },
    "text_encoders.t5xxl.logit_scale": { dtype: "F32", shape: [] },
  };
  for (const [name, prefix] of parts)
    Object.assign(all, withPrefix(prefix, manifest(name).tensors));
  const file = path.join(temporary, "all.safetensors");
  sparseSafetensors(file, all);
  for (const [name, , make] of parts) assertFits(file, make, manifest(name).config);
  assert.deepEqual([...partsIn(Object.keys(all))].sort(), parts.map(([, , , p]) => p).sort());
});

check("HPSv2.1 of older training code, and PickScore's repository", () => {
  const { config, tensors } = manifest("hps_v2.1.openclip-vit-h-14");
  const old = { ...tensors, attn_mask: { dtype: "F32" as const, shape: [77, 77] } };
  assertFits(torchFile("old", withPrefix("module.", old)), twoTower, config);
  const own = manifest("pickscore_v1.hf-clip-vit-h-14");
  assertFits(torchFile("pick", { ...own.tensors, ...own.optional_tensors }), twoTower, own.config);
});
test.run();
