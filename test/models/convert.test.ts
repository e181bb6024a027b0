// A transformer written in every layout and precision, and opened again by the readers.
import assert from "node:assert/strict";
import { existsSync, mkdtempSync, rmSync, truncateSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { suite } from "uvu";
import { openTensors } from "../../ts/checkpoint/sharded.js";
import { writeSafetensors } from "../../ts/checkpoint/write.js";
import { checkWritten } from "../../ts/models/convert/check.js";
import { convertTransformer, type ConvertOptions } from "../../ts/models/convert/convert.js";
import { ParameterStream } from "../../ts/models/convert/stream.js";
import { fluxConfig, fluxConfigJson } from "../../ts/models/flux/config.js";
import { Flux } from "../../ts/models/flux/model.js";
import { fluxNames, fluxNamesIn } from "../../ts/models/flux/names.js";
import { fluxParameters } from "../../ts/models/flux/parameters.js";
import { openLora } from "../../ts/models/lora/read.js";
import { openFlux } from "../../ts/models/open.js";
import { initializeParameters } from "../../ts/nn/init.js";
import { tensorsToWrite } from "../../ts/nn/save.js";
import { tensor } from "../../ts/tensor/tensor.js";
import { randn } from "../support/index.js";
import { tinyFlux } from "../support/tiny_flux.js";

const config = fluxConfig(tinyFlux);
const root = mkdtempSync(path.join(os.tmpdir(), "srpo-convert-"));
const source = path.join(root, "source.safetensors");
let weights: Float32Array;

const test = suite("convert");
test.before(async () => {
  const flux = new Flux(config);
  initializeParameters(flux.parameters, 7n);
  weights = await flux.parameters.weights.read();
  const tensors = tensorsToWrite(flux.parameters, fluxNames(config, "diffusers"));
  const metadata = { "config.transformer": JSON.stringify(fluxConfigJson(config)) };
  await writeSafetensors(source, tensors, metadata);
  flux.dispose();
});
test.after(() => rmSync(root, { recursive: true, force: true }));

/** The same numbers; said by the first that differs, since a diff of all takes minutes. */
function assertSame(actual: Float32Array, expected: Float32Array): void {
  assert.equal(actual.length, expected.length);
  const other = actual.findIndex((v, i) => v !== expected[i]);
  assert.equal(other, -1, `element ${other}: ${actual[other]}, expected ${expected[other]}`);
}

let count = 0;
async function converted(options: ConvertOptions, from = source): Promise<string> {
  const out = path.join(root, `out-${count++}${options.to === "diffusers" ? "" : ".safetensors"}`);
  await convertTransformer(from, out, options);
  return out;
}

async function weightsOf(place: string, dtype: "float32" | "bfloat16"): Promise<Float32Array> {
  const flux = await openFlux(place, { dtype });
  const values = await flux.parameters.weights.read();
  flux.dispose();
  return values;
}

for (const to of ["bfl", "comfyui", "diffusers"] as const) {
  test(`${to}, float32: the same bits, and back`, async () => {
    const out = await converted({ to, dtype: "float32" });
    assertSame(await weightsOf(out, "float32"), weights);
    const again = await converted({ to: "diffusers", dtype: "float32" }, out);
    assertSame(await weightsOf(again, "float32"), weights);
  });
  test(`${to}, bfloat16: what a model in bfloat16 reads from the source`, async () => {
    const out = await converted({ to, dtype: "bfloat16" });
    const expected = await weightsOf(source, "bfloat16");
    assertSame(await weightsOf(out, "bfloat16"), expected);
  });
}

test("names and metadata of a file for ComfyUI", async () => {
  const out = await converted({ to: "comfyui", dtype: "bfloat16" });
  using store = openTensors(out);
  assert.ok(store.has("model.diffusion_model.double_blocks.0.img_attn.qkv.weight"));
  assert.ok([...store.names()].every((name) => name.startsWith("model.diffusion_model.")));
  assert.match(store.metadata.get("srpo.source_sha256")!, /^source\.safetensors [0-9a-f]{64}$/);
  assert.match(store.metadata.get("license")!, /not of FLUX\.1.s sizes/);
  assert.deepEqual(fluxConfig(JSON.parse(store.metadata.get("config.transformer")!)), config);
});

test("8 bits with a scale: matrices within 1/16 of each number, the rest in bfloat16", async () => {
  const out = await converted({ to: "bfl", dtype: "float8" });
  using raw = openTensors(out);
  const name = "single_blocks.1.linear1.weight";
  assert.equal(raw.info(name).dtype, "F8_E4M3");
  assert.equal(raw.info("img_in.bias").dtype, "BF16");
  const values = await weightsOf(out, "float32");
  let largest = 0;
  for (let i = 0; i < values.length; ++i) {
    const [a, b] = [values[i]!, weights[i]!];
    // Below the least normal number of the scale the step is what counts.
    largest = Math.max(largest, Math.abs(a - b) / Math.max(Math.abs(b), 2 ** -6 / 448));
  }
  assert.ok(largest <= 1 / 16 + 1e-6, `${largest}`);
});

test("a LoRA is merged on the way", async () => {
  const lora = path.join(root, "lora.safetensors");
  const block = "transformer.single_transformer_blocks.0.proj_mlp";
  await writeSafetensors(lora, [
    { name: `${block}.lora_A.weight`, tensor: randn([2, 24], { seed: 1 }) },
    { name: `${block}.lora_B.weight`, tensor: randn([96, 2], { seed: 2 }) },
  ]);
  const out = await converted({
    to: "bfl",
    dtype: "float32",
    lora: { place: lora, strength: 0.5 },
  });
  const flux = await openFlux(source);
  const { lora: adapter } = await openLora(lora, config);
  adapter.strength = 0.5;
  adapter.mergeInto(flux.parameters);
  assertSame(await weightsOf(out, "float32"), await flux.parameters.weights.read());
  assert.ok((await flux.parameters.weights.read()).some((v, i) => v !== weights[i]));
  adapter.dispose();
  flux.dispose();
});

test("a written file that differs is found, parameter by parameter", async () => {
  const other = path.join(root, "other.safetensors");
  const flux = await openFlux(source);
  const name = "double_blocks.0.txt_mlp.2.weight";
  const values = await flux.parameters.get(name).read();
  values[17]! += 1e-6;
  flux.parameters.get(name).copyFrom(tensor([...values], [24, 96]));
  await writeSafetensors(other, tensorsToWrite(flux.parameters, fluxNames(config, "bfl")));
  flux.dispose();
  using store = openTensors(source);
  const parameters = fluxParameters(config);
  const map = fluxNamesIn(config, store.names());
  const stream = new ParameterStream(store, map, parameters, { dtype: "float32" });
  const namesIn = (names: Iterable<string>) => fluxNamesIn(config, names);
  await assert.rejects(
    checkWritten(other, stream, parameters, { dtype: "float32", namesIn }),
    (error: Error) => {
      assert.match(
        error.message,
        /double_blocks\.0\.txt_mlp\.2\.weight: expected what was written/,
      );
      assert.ok(!error.message.includes("txt_mlp.0"));
      return true;
    },
  );
  stream.dispose();
});

test("a source that is cut, or not finite, leaves nothing behind", async () => {
  const bad = path.join(root, "bad.safetensors");
  const flux = await openFlux(source);
  const none = Array.from({ length: 288 }, () => NaN);
  flux.parameters.get("img_in.weight").copyFrom(tensor(none, [24, 12]));
  const metadata = { "config.transformer": JSON.stringify(fluxConfigJson(config)) };
  await writeSafetensors(bad, tensorsToWrite(flux.parameters, fluxNames(config, "bfl")), metadata);
  flux.dispose();
  const out = path.join(root, "never.safetensors");
  const options = { to: "bfl", dtype: "float8" } as const;
  await assert.rejects(convertTransformer(bad, out, options), { code: "ERR_NOT_FINITE" });
  truncateSync(bad, 5000);
  await assert.rejects(convertTransformer(bad, out, options), { code: "ERR_CHECKPOINT" });
  assert.ok(!existsSync(out));
});
test.run();
