// One micro model in all the places that a FLUX model may lie in: the weights are the same, bit for bit.
import assert from "node:assert/strict";
import { cpSync, mkdirSync, mkdtempSync, renameSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { suite } from "uvu";
import { openTensors } from "../../ts/checkpoint/sharded.js";
import { writeSafetensors, type TensorToWrite } from "../../ts/checkpoint/write.js";
import { initMicro } from "../../ts/micro/init.js";
import type { Flux } from "../../ts/models/flux/model.js";
import { fluxNames } from "../../ts/models/flux/names.js";
import {
  loadAutoencoder,
  loadTextEncoders,
  loadTransformer,
} from "../../ts/models/pipeline/load.js";
import { partPlace, type ModelPlace } from "../../ts/models/pipeline/places.js";
import { openFlux } from "../../ts/models/open.js";
import { tensorsToWrite } from "../../ts/nn/save.js";

const root = mkdtempSync(path.join(os.tmpdir(), "srpo-places-"));
const micro = path.join(root, "micro");
const texts = ["a red fox in the snow", "a blue house", "two cats on a mat"];
let flux: Flux;
let bfl: TensorToWrite[];

const test = suite("places of a FLUX model");
test.before(async () => {
  await initMicro(micro, { seed: 5n, dtype: "float32", texts });
  flux = await loadTransformer(micro, {});
  bfl = tensorsToWrite(flux.parameters, fluxNames(flux.config, "bfl"));
});
test.after(() => {
  flux.dispose();
  rmSync(root, { recursive: true, force: true });
});

const inRoot = (...parts: string[]) => path.join(root, ...parts);
const prefixed = (prefix: string, tensors: readonly TensorToWrite[]): TensorToWrite[] =>
  tensors.map((tensor) => ({ ...tensor, name: prefix + tensor.name }));

/** The tensors of a folder, to be written again under a prefix. */
function copied(folder: string, prefix: string): { tensors: TensorToWrite[]; close: () => void } {
  const store = openTensors(folder);
  const tensors = [...store.names()].map((name) => ({
    name: prefix + name,
    tensor: store.read(name),
  }));
  return { tensors, close: () => store.close() };
}

async function assertSame(place: ModelPlace): Promise<void> {
  const loaded = await loadTransformer(place, {});
  assert.deepEqual(loaded.config, flux.config);
  assert.deepEqual(
    await loaded.parameters.weights.readBytes(),
    await flux.parameters.weights.readBytes(),
  );
  loaded.dispose();
}

test("BFL's single file, inside a FLUX folder and beside one", async () => {
  const inside = path.join(micro, "flux1-micro.safetensors");
  await writeSafetensors(inside, bfl);
  await assertSame(inside);
  const alone = inRoot("alone.safetensors");
  await writeSafetensors(alone, prefixed("model.diffusion_model.", bfl));
  await assertSame({ model: alone, base: micro });
  rmSync(inside);
});

test("the SRPO release: a diffusers file alone in its folder, or the file", async () => {
  const folder = inRoot("srpo");
  mkdirSync(folder);
  const file = path.join(folder, "diffusion_pytorch_model.safetensors");
  cpSync(path.join(micro, "transformer", "diffusion_pytorch_model.safetensors"), file);
  await assertSame({ model: folder, base: micro });
  await assertSame({ model: file, base: micro });
});

test("an all-in-one file: every model of it, the tokenizers from the base", async () => {
  const parts = [
    copied(path.join(micro, "vae"), "vae."),
    copied(path.join(micro, "text_encoder"), "text_encoders.clip_l.transformer."),
    copied(path.join(micro, "text_encoder_2"), "text_encoders.t5xxl.transformer."),
  ];
  const tensors = [
    ...prefixed("model.diffusion_model.", bfl),
    ...parts.flatMap((part) => part.tensors),
  ];
  const { readFileSync } = await import("node:fs");
  const config = (part: string) => readFileSync(path.join(micro, part, "config.json"), "utf8");
  const metadata = Object.fromEntries(
    ["vae", "text_encoder", "text_encoder_2"].map((part) => [`config.${part}`, config(part)]),
  );
  const file = inRoot("all.safetensors");
  await writeSafetensors(file, tensors, metadata);
  for (const part of parts) part.close();
  const base = inRoot("tokenizers");
  for (const part of ["tokenizer", "tokenizer_2", "transformer/config.json"])
    cpSync(path.join(micro, part), path.join(base, part), { recursive: true });
  const place = { model: file, base };
  await assertSame(place);
  const halves = { parts: ["encoder", "decoder"] } as const;
  const [a, b] = [await loadAutoencoder(place, halves), await loadAutoencoder(micro, halves)];
  assert.deepEqual(await a.parameters.weights.readBytes(), await b.parameters.weights.readBytes());
  const [c, d] = [await loadTextEncoders(place, {}), await loadTextEncoders(micro, {})];
  for (const [x, y] of [
    [c.clip, d.clip],
    [c.t5, d.t5],
  ] as const)
    assert.deepEqual(
      await x.parameters.weights.readBytes(),
      await y.parameters.weights.readBytes(),
    );
  for (const model of [a, b, c, d]) model.dispose();
});

test("loose files in the base folder, by what they hold", async () => {
  const base = inRoot("loose");
  mkdirSync(base);
  cpSync(path.join(micro, "tokenizer"), path.join(base, "tokenizer"), { recursive: true });
  for (const [part, name] of [
    ["vae", "autoencoder-renamed.safetensors"],
    ["text_encoder", "a.safetensors"],
    ["text_encoder_2", "b.safetensors"],
  ] as const) {
    const store = openTensors(path.join(micro, part));
    cpSync(store.origin, path.join(base, name));
    store.close();
    assert.equal(partPlace(base, part), path.join(base, name));
  }
  assert.throws(() => partPlace(base, "transformer"), /with transformer, got none.+--base/);
});

test("scaled 8-bit weights have their true values", async () => {
  const scale = 2 ** -9;
  const name = "double_blocks.0.img_mlp.0.weight";
  const { shape } = flux.parameters.get(name);
  const size = shape.reduce((product, n) => product * n, 1);
  const bytes = Uint8Array.from({ length: size }, (_, i) => (i * 37) % 127);
  const tensors: TensorToWrite[] = [
    ...bfl.filter((tensor) => tensor.name !== name),
    { name, dtype: "F8_E4M3", shape, read: () => bytes },
    {
      name: name.replace(/weight$/, "scale_weight"),
      dtype: "F32",
      shape: [],
      read: () => new Uint8Array(Float32Array.of(scale).buffer),
    },
    { name: "scaled_fp8", dtype: "F8_E4M3", shape: [2], read: () => new Uint8Array(2) },
  ];
  const [plain, file] = [inRoot("plain.safetensors"), inRoot("scaled.safetensors")];
  await writeSafetensors(plain, [{ name: "x", dtype: "F8_E4M3", shape, read: () => bytes }]);
  await writeSafetensors(file, tensors);
  using store = openTensors(plain);
  const expected = (await store.read("x", { dtype: "float32" }).read()).map((v) => v * scale);
  const loaded = await openFlux(file, { axes: flux.config.axes });
  assert.deepEqual(await loaded.parameters.get(name).read(), expected);
  const half = await openFlux(file, { axes: flux.config.axes, dtype: "bfloat16" });
  assert.deepEqual(await half.parameters.get(name).read(), expected); // 4 bits and a power of two
  loaded.dispose();
  half.dispose();
});

test("what is missing is named, with what to do", () => {
  assert.throws(() => partPlace(inRoot("none"), "vae"), /expected a FLUX folder or a file/);
  const far = inRoot("far");
  mkdirSync(far);
  renameSync(inRoot("alone.safetensors"), path.join(far, "alone.safetensors"));
  assert.throws(() => partPlace(path.join(far, "alone.safetensors"), "transformer"), /--base/);
  assert.throws(
    () => partPlace({ model: path.join(far, "alone.safetensors"), base: far + "x" }, "vae"),
    /base: expected a FLUX folder, got none/,
  );
});
test.run();
