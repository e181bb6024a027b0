// LoRA files in every naming, on one small FLUX: the same change of the weights, merged or beside them.
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { suite } from "uvu";
import { writeSafetensors, type TensorToWrite } from "../../ts/checkpoint/write.js";
import { SafetensorsFile } from "../../ts/checkpoint/safetensors.js";
import { fluxConfig } from "../../ts/models/flux/config.js";
import { Flux } from "../../ts/models/flux/model.js";
import { fluxRope } from "../../ts/models/flux/positions.js";
import { openLora } from "../../ts/models/lora/read.js";
import { packageRoot } from "../../ts/native/load.js";
import { initializeParameters } from "../../ts/nn/init.js";
import { loraName, type Lora } from "../../ts/nn/lora.js";
import { randn } from "../support/index.js";
import { tinyFlux } from "../support/tiny_flux.js";

const config = fluxConfig({ ...tinyFlux, num_single_layers: 1 });
const D = 24;
const root = mkdtempSync(path.join(os.tmpdir(), "srpo-lora-"));
const test = suite("LoRA files");
test.after(() => rmSync(root, { recursive: true, force: true }));

let count = 0;
async function written(
  tensors: readonly TensorToWrite[],
  metadata: Record<string, string> = {},
): Promise<string> {
  const file = path.join(root, `${count++}.safetensors`);
  await writeSafetensors(file, tensors, metadata);
  return file;
}

const matrix = (name: string, shape: number[], seed: number): TensorToWrite => ({
  name,
  tensor: randn(shape, { seed, scale: 0.3 }),
});
/** A and B of a module under names that a program gives them. */
const pair = (
  [a, b]: readonly [string, string],
  [outputs, inputs]: readonly [number, number],
  seed: number,
  rank = 2,
): TensorToWrite[] => [matrix(a, [rank, inputs], seed), matrix(b, [outputs, rank], seed + 1)];
const alpha = (name: string, value: number): TensorToWrite => ({
  name,
  dtype: "F32",
  shape: [],
  read: () => new Uint8Array(Float32Array.of(value).buffer),
});

async function model(): Promise<Flux> {
  const flux = new Flux(config);
  initializeParameters(flux.parameters, 11n);
  return flux;
}

async function sample(flux: Flux): Promise<Float32Array> {
  const ids = [...Array.from({ length: 3 }, () => [0, 0, 0]), [0, 0, 0], [0, 0, 1], [0, 1, 0], [0, 1, 1]];
  const velocity = flux.forward({
    img: randn([1, 4, 12], { seed: 1 }),
    txt: randn([1, 3, 10], { seed: 2 }),
    pooled: randn([1, 7], { seed: 3 }),
    sigma: [0.6],
    guidance: [3.5],
    pe: fluxRope(config, ids, { device: "cpu" }),
  });
  return velocity.read();
} // prettier-ignore

function assertClose(a: ArrayLike<number>, b: ArrayLike<number>, most = 2e-6): void {
  const norm = Math.hypot(...Array.from(b));
  const off = Math.hypot(...Array.from(a, (v, i) => v - b[i]!)) / norm;
  assert.ok(off < most, `relative error ${off}`);
}

/** What the model says with an adapter beside its weights and merged into them; they agree. */
async function sampled(file: string, change?: (lora: Lora) => void): Promise<Float32Array> {
  const flux = await model();
  const before = await sample(flux);
  const { lora } = await openLora(file, config);
  change?.(lora);
  flux.parameters.adapter = lora;
  const beside = await sample(flux);
  flux.parameters.adapter = undefined;
  assert.deepEqual(await sample(flux), before);
  lora.mergeInto(flux.parameters);
  assertClose(await sample(flux), beside);
  assert.notDeepEqual(beside, before);
  lora.dispose();
  flux.dispose();
  return beside;
}

test("one module in six programs' namings is one change", async () => {
  const shape = [4 * D, D] as const;
  const bfl = "double_blocks.0.img_mlp.0";
  const diffusers = "transformer_blocks.0.ff.net.0.proj";
  const names = [
    [`transformer.${diffusers}.lora_A.weight`, `transformer.${diffusers}.lora_B.weight`],
    [`base_model.model.${diffusers}.lora_A.weight`, `base_model.model.${diffusers}.lora_B.weight`],
    [`${diffusers}.lora_A.default.weight`, `${diffusers}.lora_B.default.weight`],
    [`diffusion_model.${bfl}.lora_down.weight`, `diffusion_model.${bfl}.lora_up.weight`],
    [`${bfl}.lora_A.weight`, `${bfl}.lora_B.weight`],
    ["lora_unet_double_blocks_0_img_mlp_0.lora_down.weight", "lora_unet_double_blocks_0_img_mlp_0.lora_up.weight"],
  ] as const; // prettier-ignore
  let first: Float32Array | undefined;
  for (const name of names) {
    const result = await sampled(await written(pair(name, shape, 5)));
    first ??= result;
    assert.deepEqual(result, first, name[0]);
  }
});

test("XLabs' processors", async () => {
  const names = (module: string) => [`${module}.down.weight`, `${module}.up.weight`] as const;
  const xlabs = pair(names("double_blocks.0.processor.qkv_lora2"), [3 * D, D], 8);
  const bfl = pair(names("double_blocks.0.txt_attn.qkv"), [3 * D, D], 8);
  assert.deepEqual(await sampled(await written(xlabs)), await sampled(await written(bfl)));
});

test("parts of a fused weight, with rows between them that nothing changes", async () => {
  const of = (module: string, [outputs, inputs]: [number, number], seed: number) =>
    pair([`${module}.lora_A.weight`, `${module}.lora_B.weight`], [outputs, inputs], seed);
  const block = "transformer.single_transformer_blocks.0";
  await sampled(
    await written([
      ...of(`${block}.attn.to_k`, [D, D], 1),
      ...of(`${block}.proj_mlp`, [4 * D, D], 3),
      ...of(`${block}.proj_out`, [D, 5 * D], 5),
      ...of("transformer.transformer_blocks.0.attn.to_q", [D, D], 7),
      ...of("transformer.transformer_blocks.0.attn.add_v_proj", [D, D], 9),
      ...of("transformer.x_embedder", [D, 12], 11),
    ]),
  );
});

test("the output norm's halves are in diffusers' order in its files", async () => {
  const A = randn([2, D], { seed: 1, scale: 0.3 });
  const B = randn([2 * D, 2], { seed: 2, scale: 0.3 });
  const name = "norm_out.linear";
  const { lora } = await openLora(
    await written([
      { name: `transformer.${name}.lora_A.weight`, tensor: A },
      { name: `transformer.${name}.lora_B.weight`, tensor: B },
    ]),
    config,
  );
  const ours = await lora.parameters.get(`${loraName(lora.parts[0]!)}.B`).read();
  const theirs = await B.read();
  assert.deepEqual(ours.slice(0, 2 * D), theirs.slice(2 * D));
  assert.deepEqual(ours.slice(2 * D), theirs.slice(0, 2 * D));
  lora.dispose();
});

test("alpha: a tensor's, PEFT's metadata, a pattern's, else the rank", async () => {
  const base = "transformer_blocks.0.ff.net.2";
  const peft = [`transformer.${base}.lora_A.weight`, `transformer.${base}.lora_B.weight`] as const;
  const kohya = "lora_unet_double_blocks_0_img_mlp_2";
  const down = [`${kohya}.lora_down.weight`, `${kohya}.lora_up.weight`] as const;
  const shape = [D, 4 * D] as const;
  const factor = async (tensors: TensorToWrite[], metadata: Record<string, string> = {}) => {
    const { lora } = await openLora(await written(tensors, metadata), config);
    lora.dispose();
    return lora.parts[0]!.factor;
  };
  const meta = (json: object) => ({ lora_adapter_metadata: JSON.stringify(json) });
  assert.equal(await factor(pair(peft, shape, 1)), 1);
  assert.equal(await factor([...pair(down, shape, 1), alpha(`${kohya}.alpha`, 3)]), 1.5);
  assert.equal(await factor(pair(peft, shape, 1), meta({ "transformer.lora_alpha": 8 })), 4);
  const pattern = { "transformer.lora_alpha": 8, "transformer.alpha_pattern": { "net.2": 1 } };
  assert.equal(await factor(pair(peft, shape, 1), meta(pattern)), 0.5);
  const rs = { "transformer.lora_alpha": 8, "transformer.use_rslora": true };
  assert.equal(await factor(pair(peft, shape, 1), meta(rs)), 8 / Math.sqrt(2));
  const half = await sampled(await written(pair(peft, shape, 1)), (lora) => (lora.strength = 0.5));
  const twice = await sampled(await written(pair(peft, shape, 1), meta({ lora_alpha: 1 })));
  assertClose(half, twice);
});

test("what does not fit is named, all at once; text encoders are passed over", async () => {
  const file = await written([
    ...pair(["transformer.nowhere.lora_A.weight", "transformer.nowhere.lora_B.weight"], [D, D], 1),
    ...pair(["x_embedder.lora_A.weight", "x_embedder.lora_B.weight"], [D, 13], 1),
    matrix("proj_out.lora_A.weight", [2, D], 1),
    matrix("transformer_blocks.0.attn.norm_q.weight", [12], 1),
  ]);
  await assert.rejects(openLora(file, config), (error: Error & { code?: string }) => {
    assert.equal(error.code, "ERR_CHECKPOINT");
    assert.match(error.message, /transformer\.nowhere: expected a linear layer of this model/);
    assert.match(error.message, /x_embedder: expected A \[rank, 12\] and B \[24, rank\], got \[2, 13\]/);
    assert.match(error.message, /proj_out: expected A and B, got one/);
    assert.match(error.message, /attn\.norm_q\.weight: expected a LoRA's/);
    return true;
  });
  const text = ["lora_te1_text_model_x.lora_down.weight", "lora_te1_text_model_x.lora_up.weight"] as const;
  await assert.rejects(openLora(await written(pair(text, [4, 4], 1)), config), /none of it/);
  const good = ["x_embedder.lora_A.weight", "x_embedder.lora_B.weight"] as const;
  const both = await written([...pair(text, [4, 4], 1), ...pair(good, [D, 12], 1)]);
  const { lora, skipped } = await openLora(both, config);
  assert.deepEqual(skipped, ["lora_te1_text_model_x"]);
  lora.dispose();
}); // prettier-ignore

test("the fixture's file in both namings is the same change of the weights", async () => {
  using fixture = SafetensorsFile.open(
    path.join(packageRoot, "test", "golden", "flux-tiny-lora.safetensors"),
  );
  const json = JSON.parse(fixture.metadata.get("config")!) as { flux: object };
  const tiny = fluxConfig(json.flux);
  const under = (prefix: string) =>
    [...fixture.names()]
      .filter((name) => name.startsWith(prefix))
      .map((name) => ({ name: name.slice(prefix.length), tensor: fixture.read(name) }));
  const merged = await Promise.all(
    ["lora.", "kohya."].map(async (prefix) => {
      const flux = new Flux(tiny);
      const { lora } = await openLora(await written(under(prefix)), tiny, { alpha: 8 });
      lora.mergeInto(flux.parameters);
      const weights = await flux.parameters.weights.read();
      lora.dispose();
      flux.dispose();
      return weights;
    }),
  );
  assertClose(merged[0]!, merged[1]!, 1e-6);
});
test.run();
