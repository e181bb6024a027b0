// LoRA files that are written: under every program's names, and out of a fine-tune of all weights.
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { suite } from "uvu";
import { openTensors } from "../../ts/checkpoint/sharded.js";
import { writeSafetensors } from "../../ts/checkpoint/write.js";
import { fluxConfig, fluxConfigJson } from "../../ts/models/flux/config.js";
import { Flux } from "../../ts/models/flux/model.js";
import { fluxNames } from "../../ts/models/flux/names.js";
import { checkLora, convertLora, extractLoraFile } from "../../ts/models/lora/convert.js";
import { loraParts } from "../../ts/models/lora/layers.js";
import { lowRank } from "../../ts/models/lora/low_rank.js";
import { openLora } from "../../ts/models/lora/read.js";
import { loraFile, loraNamings, type LoraNaming } from "../../ts/models/lora/write.js";
import { initializeParameters } from "../../ts/nn/init.js";
import { Lora, type LoraPart } from "../../ts/nn/lora.js";
import { tensorsToWrite } from "../../ts/nn/save.js";
import { matmul } from "../../ts/ops/index.js";
import { tensor, tensorFromBytes, type Tensor } from "../../ts/tensor/tensor.js";
import { randn, relativeError } from "../support/index.js";
import { tinyFlux } from "../support/tiny_flux.js";

const config = fluxConfig(tinyFlux);
const D = 24;
const root = mkdtempSync(path.join(os.tmpdir(), "srpo-lora-write-"));
const base = path.join(root, "base.safetensors");
const test = suite("LoRA files, written");

async function save(flux: Flux, file: string): Promise<void> {
  const metadata = { "config.transformer": JSON.stringify(fluxConfigJson(config)) };
  await writeSafetensors(file, tensorsToWrite(flux.parameters, fluxNames(config, "bfl")), metadata);
}
test.before(async () => {
  const flux = new Flux(config);
  initializeParameters(flux.parameters, 7n);
  await save(flux, base);
  flux.dispose();
});
test.after(() => rmSync(root, { recursive: true, force: true }));

/** An adapter with B that is not zero. */
function adapter(parts: readonly LoraPart[], seed = 1): Lora {
  const lora = new Lora(parts);
  for (const [i, { parameter }] of lora.parameters.ranges.entries())
    lora.parameters
      .get(parameter.name)
      .copyFrom(randn(parameter.shape, { seed: seed + i, scale: 0.3 }));
  return lora;
}

const everything = (): LoraPart[] => [
  ...loraParts(config, { rank: 4, alpha: 6, layers: ["attention", "mlp", "modulation"] }),
  // Its halves lie the other way round in diffusers' layout.
  { weight: "final_layer.adaLN_modulation.1.weight", row: 0, rows: 2 * D, inputs: D, rank: 3, factor: 0.7 },
]; // prettier-ignore

/** What an adapter adds to a model of zeros. */
async function change(lora: Lora): Promise<Float32Array> {
  const flux = new Flux(config);
  lora.mergeInto(flux.parameters);
  const weights = await flux.parameters.weights.read();
  flux.dispose();
  return Float32Array.from(weights);
}

let count = 0;
async function written(lora: Lora, naming: LoraNaming, dtype: "float32" | "bfloat16" = "float32") {
  const out = path.join(root, `${count++}.safetensors`);
  const file = await loraFile(lora, config, { naming, dtype });
  await writeSafetensors(out, file.tensors, file.metadata);
  return out;
}

for (const naming of loraNamings)
  test(`${naming}: the same change of the weights, in float32 and bfloat16`, async () => {
    const lora = adapter(everything());
    const expected = await change(lora);
    for (const dtype of ["float32", "bfloat16"] as const) {
      const out = await written(lora, naming, dtype);
      await checkLora(out, lora, config, dtype);
      const { lora: read } = await openLora(out, config);
      const error = relativeError(await change(read), expected);
      assert.ok(error <= (dtype === "float32" ? 1e-6 : 2 ** -7), `${dtype}: ${error}`);
      read.dispose();
    }
    lora.dispose();
  });

test("names: PEFT's, sd-scripts', ComfyUI's", async () => {
  const lora = adapter(loraParts(config, { rank: 4, alpha: 6 }));
  const expected = {
    diffusers: ["transformer.transformer_blocks.0.attn.add_k_proj.lora_A.weight", 24],
    kohya: ["lora_unet_double_blocks_0_txt_attn_qkv.lora_down.weight", 72],
    bfl: ["double_blocks.0.txt_attn.qkv.lora_A.weight", 72],
    comfyui: ["diffusion_model.double_blocks.0.txt_attn.qkv.lora_A.weight", 72],
  } as const;
  for (const naming of loraNamings) {
    using store = openTensors(await written(lora, naming));
    const [a, rows] = expected[naming];
    assert.deepEqual(store.shape(a), [4, D]);
    const b = a.replace("lora_A", "lora_B").replace("lora_down", "lora_up");
    assert.deepEqual(store.shape(b), [rows, 4]);
    const alpha = [...store.names()].filter((name) => name.endsWith(".alpha"));
    assert.equal(alpha.length, naming === "diffusers" ? 0 : lora.parts.length);
    for (const name of alpha) assert.equal(store.scalar(name), 6);
  }
  lora.dispose();
});

test("diffusers' file to kohya's: q, k and v that share A are one again; others stand side by side", async () => {
  const lora = adapter(loraParts(config, { rank: 4, layers: ["attention"] }));
  const [from, to] = [await written(lora, "diffusers"), path.join(root, "kohya.safetensors")];
  const licence = await convertLora(from, to, { naming: "kohya", dtype: "float32", base });
  assert.match(licence, /its own goes with/);
  using store = openTensors(to);
  assert.deepEqual(store.shape("lora_unet_double_blocks_0_img_attn_qkv.lora_down.weight"), [4, D]);
  assert.match(store.metadata.get("srpo.base_sha256")!, /^base\.safetensors [0-9a-f]{64}$/);
  assert.match(store.metadata.get("license")!, /not of FLUX\.1.s sizes/);

  const weight = "double_blocks.0.img_attn.qkv.weight";
  const third = (i: number, rank: number) => ({ weight, row: i * D, rows: D, inputs: D, rank, factor: i + 1 });
  const apart = adapter([third(0, 2), third(2, 5)]);
  const out = await written(apart, "kohya");
  await checkLora(out, apart, config, "float32");
  using other = openTensors(out);
  assert.deepEqual(other.shape("lora_unet_double_blocks_0_img_attn_qkv.lora_up.weight"), [3 * D, 7]);
  lora.dispose();
  apart.dispose();
}); // prettier-ignore

test("a file that differs is found, by weight", async () => {
  const lora = adapter(loraParts(config, { rank: 2 }));
  const other = adapter(loraParts(config, { rank: 2 }));
  const name = "single_blocks.1.linear2.weight[0+24].B";
  const b = await other.parameters.get(name).read();
  b[3]! += 1e-3;
  other.parameters.get(name).copyFrom(tensor([...b], [D, 2]));
  const out = await written(other, "comfyui");
  await assert.rejects(checkLora(out, lora, config, "float32"), (error: Error) => {
    assert.match(error.message, /single_blocks\.1\.linear2\.weight: expected what was written/);
    assert.ok(!error.message.includes("single_blocks.0"));
    return true;
  });
  lora.dispose();
  other.dispose();
});

/** A matrix of these singular values: a diagonal one, mirrored on both sides. */
function withSingularValues(m: number, n: number, sigmas: readonly number[]): Tensor {
  const unit = (length: number, seed: number) => {
    const v = Float64Array.from({ length }, (_, i) => Math.sin(1 + seed + i * (i + seed)));
    const norm = Math.hypot(...v);
    return v.map((x) => x / norm);
  };
  const [u, v] = [unit(m, 1), unit(n, 2)];
  const mirror = (w: Float64Array, i: number, k: number) => (i === k ? 1 : 0) - 2 * w[i]! * w[k]!;
  const values = new Float32Array(m * n);
  for (let i = 0; i < m; ++i)
    for (let j = 0; j < n; ++j)
      values[i * n + j] = sigmas.reduce(
        (sum, sigma, k) => sum + mirror(u, i, k) * sigma * mirror(v, j, k),
        0,
      );
  return tensorFromBytes(new Uint8Array(values.buffer), [m, n], { dtype: "float32" });
}

async function errorOf(matrix: Tensor, rank: number): Promise<number> {
  const [m = 0, n = 0] = matrix.shape;
  const { a, b } = await lowRank(matrix, { rank });
  const as = (x: Float32Array, shape: number[]) =>
    tensorFromBytes(new Uint8Array(x.buffer), shape, { dtype: "float32" });
  return relativeError(
    await matmul(as(b, [m, rank]), as(a, [rank, n])).read(),
    await matrix.read(),
  );
}

test("low rank: what is of that rank is found; else what is left is what no other leaves", async () => {
  assert.ok((await errorOf(matmul(randn([50, 3], { seed: 1 }), randn([3, 41], { seed: 2 })), 3)) < 1e-6);
  // A spectrum that falls slowly, a flat one, and one of more columns than rows.
  for (const [m, n, sigmas] of [
    [60, 45, Array.from({ length: 45 }, (_, k) => 1 / (1 + k))],
    [33, 70, Array.from({ length: 33 }, (_, k) => 0.8 ** k)],
    [40, 40, Array.from({ length: 40 }, (_, k) => 1 - k / 80)],
  ] as const)
    for (const rank of [1, 4, 16]) {
      const squared = (from: number) => sigmas.slice(from).reduce((sum, s) => sum + s * s, 0);
      const best = Math.sqrt(squared(rank) / squared(0)); // Eckart and Young
      const found = await errorOf(withSingularValues(m, n, sigmas), rank);
      assert.ok(found >= best * (1 - 1e-5) && found <= best * 1.01, `${m} x ${n}, ${rank}: ${found}, best ${best}`);
    }
  assert.equal(await errorOf(tensor(Array.from({ length: 12 }, () => 0), [3, 4]), 2) || 0, 0);
}); // prettier-ignore

test("extraction: a fine-tune by a LoRA gives that LoRA back; what it cannot hold is told", async () => {
  const lora = adapter(loraParts(config, { rank: 3 }));
  const flux = new Flux(config);
  initializeParameters(flux.parameters, 7n);
  lora.mergeInto(flux.parameters);
  const tuned = path.join(root, "tuned.safetensors");
  await save(flux, tuned);
  const out = path.join(root, "extracted.safetensors");
  const options = { naming: "comfyui", dtype: "float32", base, layers: ["attention", "mlp"] } as const;
  const whole = await extractLoraFile(tuned, out, { ...options, rank: 3 });
  assert.ok(whole.captured > 1 - 1e-9 && whole.outside === 0, JSON.stringify(whole));
  const { lora: read } = await openLora(out, config);
  assert.ok(relativeError(await change(read), await change(lora)) < 1e-5);
  read.dispose();
  const less = await extractLoraFile(tuned, path.join(root, "less.safetensors"), { ...options, rank: 2 });
  assert.ok(less.captured > 2 / 3 && less.captured < 0.999, `${less.captured}`);
  const bias = flux.parameters.get("img_in.bias");
  bias.copyFrom(tensor(Array.from({ length: D }, () => 1), [D]));
  await save(flux, tuned);
  const more = await extractLoraFile(tuned, path.join(root, "more.safetensors"), { ...options, rank: 3 });
  assert.ok(more.outside > 0 && Math.abs(more.captured + more.outside - 1) < 1e-6, JSON.stringify(more));
  await assert.rejects(extractLoraFile(base, path.join(root, "no.safetensors"), { ...options, rank: 3 }), {
    code: "ERR_CONFIG",
  });
  lora.dispose();
  flux.dispose();
}); // prettier-ignore
test.run();
