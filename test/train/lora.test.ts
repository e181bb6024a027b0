// Training a LoRA: which layers, the first step's gradients, a run that is stopped and resumed, what it leaves.
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import { suite } from "uvu";
import { SafetensorsFile } from "../../ts/checkpoint/safetensors.js";
import { decodePng } from "../../ts/data/png.js";
import { fluxDev } from "../../ts/models/flux/config.js";
import { loraParts } from "../../ts/models/lora/layers.js";
import { at, fails, metricsOf, microFolder, succeed, training } from "../support/cli.js";

const test = suite("train --lora-rank");
test.before(async () => void (await microFolder()));

const step = (run: string, n: number, ...names: string[]) =>
  at(run, "checkpoints", `step-00000${n}`, ...names);
/** What training continues from, and the numbers of the LoRA's file; its metadata names the run's own options. */
function bytes(run: string, n: number): Buffer[] {
  const file = readFileSync(step(run, n, "pytorch_lora_weights.safetensors"));
  const header = Number(file.readBigUInt64LE());
  return [readFileSync(step(run, n, "state/state.safetensors")), file.subarray(8 + header)];
}

test("layers: FLUX.1-dev's by group, fused layers as one", () => {
  const parts = (...layers: string[]) => loraParts(fluxDev, { rank: 16, layers });
  assert.equal(parts("attention", "mlp").length, 19 * 8 + 38 * 2);
  assert.equal(parts("attention").length, 19 * 4 + 38 * 2);
  assert.equal(parts("modulation").length, 19 * 2 + 38);
  const first = (...layers: string[]) =>
    parts(...layers).find(({ weight }) => weight === "single_blocks.0.linear1.weight")!;
  const rows = ({ row, rows: count }: { row: number; rows: number }) => [row, count];
  assert.deepEqual(rows(first("attention")), [0, 9216]);
  assert.deepEqual(rows(first("mlp")), [9216, 12288]);
  assert.deepEqual(rows(first("attention", "mlp")), [0, 21504]);
  assert.throws(() => parts("attention", "atention"), { code: "ERR_CONFIG" });
});

for (const precision of ["bf16", "f32"])
  test(`${precision}: 4 updates are 2 and, resumed, 2 more; samples and EMA on`, async () => {
    const options = ["--precision", precision, "--ema", "0.9", "--sample-every", "4"];
    const lora = ["--lora-rank", "4", "--lora-alpha", "8", "--lr", "1e-3"];
    const [whole, halves] = [`whole-${precision}`, `halves-${precision}`];
    await succeed(...training(whole, "--steps", "4", ...options, ...lora));
    await succeed(...training(halves, "--steps", "2", ...options, ...lora));
    await succeed("train", "--resume", at(halves), "--steps", "4");
    for (const [i, file] of bytes(whole, 4).entries())
      assert.ok(file.equals(bytes(halves, 4)[i]!), `file ${i}`);
    assert.deepEqual(metricsOf(whole), metricsOf(halves));
    assert.ok(!bytes(halves, 2)[1]!.equals(bytes(halves, 4)[1]!));
    const grid = (n: number) => readFileSync(at(whole, "samples", `step-00000${n}.png`));
    assert.ok(!grid(0).equals(grid(4)), "the samples are the adapter's");
  });

test("--base-dtype fp8: trains and goes on to the bit; not without a LoRA", async () => {
  const options = ["--base-dtype", "fp8", "--lora-rank", "4", "--lr", "1e-3", "--sample-every", "0"];
  await succeed(...training("fp8", "--steps", "2", ...options));
  await succeed(...training("fp8-halves", "--steps", "1", ...options));
  await succeed("train", "--resume", at("fp8-halves"), "--steps", "2");
  for (const [i, file] of bytes("fp8", 2).entries())
    assert.ok(file.equals(bytes("fp8-halves", 2)[i]!), `file ${i}`);
  await fails(2, /baseDtype: expected precision where all weights/, training("no", "--base-dtype", "fp8"));
}); // prettier-ignore

test("its checkpoint: the LoRA alone, with where it came from", () => {
  assert.ok(!existsSync(step("whole-f32", 4, "transformer")));
  using file = SafetensorsFile.open(step("whole-f32", 4, "pytorch_lora_weights.safetensors"));
  assert.ok(file.has("transformer.transformer_blocks.0.attn.to_q.lora_A.weight"));
  assert.ok(file.has("transformer.single_transformer_blocks.0.proj_mlp.lora_B.weight"));
  const { metadata } = file;
  assert.match(metadata.get("srpo.base_sha256")!, /safetensors [0-9a-f]{64}/);
  assert.match(metadata.get("srpo.commit")!, /^(?:[0-9a-f]{40}(?:-dirty)?|unknown)$/);
  assert.match(metadata.get("license")!, /its own goes with/);
  const recipe = JSON.parse(metadata.get("srpo.recipe")!) as { options: { loraRank: number } };
  assert.equal(recipe.options.loraRank, 4);
  const peft = JSON.parse(metadata.get("lora_adapter_metadata")!) as Record<string, unknown>;
  assert.equal(peft["transformer.r"], peft["transformer.lora_alpha"]);
});

test("sample --lora CHECKPOINT: merged and beside the weights the same within float32 rounding", async () => {
  const drawn = async (out: string, ...flags: string[]) => {
    const size = "--height 32 --width 32 --steps 4 --precision f32".split(" ");
    const base = ["sample", "--model", at("micro"), "--out", at(out), ...size];
    await succeed(...base, ...flags, "a red fox");
    return [...decodePng(readFileSync(path.join(at(out), "00000.png"))).rgb];
  };
  const lora = ["--lora", step("whole-f32", 4)];
  const [plain, merged, beside] = [
    await drawn("plain"),
    await drawn("merged", ...lora),
    await drawn("beside", ...lora, "--no-merge-lora"),
  ];
  assert.ok(merged.some((v, i) => v !== plain[i]), "the LoRA changes the picture");
  // W + BA is rounded once more than Wx + B(Ax), 6e-8 of a weight; four steps stay far below a level of 8 bits.
  assert.ok(merged.every((v, i) => Math.abs(v - beside[i]!) <= 1));
}); // prettier-ignore

test("convert: the checkpoint under other names; what is not a LoRA's is refused", async () => {
  const base = ["--base", at("micro")];
  const { stdout } = await succeed("convert", step("whole-f32", 4), at("kohya.safetensors"), "--to", "kohya", ...base);
  assert.equal(stdout, `${at("kohya.safetensors")}\n`);
  using file = SafetensorsFile.open(at("kohya.safetensors"));
  assert.ok(file.has("lora_unet_double_blocks_0_img_attn_qkv.lora_down.weight"));
  assert.ok(file.metadata.get("srpo.recipe")!.includes('"loraRank":4'));
  const refused = (words: RegExp, ...args: string[]) =>
    fails(2, words, ["convert", ...args.slice(0, 1), at("no.safetensors"), ...args.slice(1)]);
  await refused(/base: expected the model/, step("whole-f32", 4));
  await refused(/expected kohya only of a LoRA/, at("micro"), "--to", "kohya");
  await refused(/loraRank: expected none/, step("whole-f32", 4), "--lora-rank", "2", ...base);
  assert.ok(!existsSync(at("no.safetensors")));
}); // prettier-ignore

test("methods: ReFL, DRaFT and GRPO with its reference, the adapter off; keep-best", async () => {
  const lora = ["--lora-rank", "2", "--steps", "1", "--sample-every", "0", "--lora-layers", "attention"];
  await succeed(...training("refl", ...lora, "--method", "refl", "--stop-steps", "2"));
  await succeed(...training("draft", ...lora, "--method", "draft", "--last-steps", "1"));
  const group = ["--method", "flow-grpo", "--group-size", "2", "--passes", "1", "--kl-weight", "0.01"];
  await succeed(...training("grpo", ...lora, ...group));
  // B is zero before the first update: the policy is its reference.
  const [row] = metricsOf("grpo") as Record<string, number>[];
  const kl = Object.entries(row!).find(([name]) => /kl/i.test(name));
  assert.equal(kl?.[1], 0, JSON.stringify(row));
  await succeed(
    ...training("best", "--lora-rank", "2", "--steps", "1", "--sample-every", "0"),
    "--eval-reward", at("micro", "reward"), "--keep-best", "score", "--eval-count", "2", "--eval-every", "1",
  );
}); // prettier-ignore

test("wrong layers are refused before anything is written", async () => {
  await fails(2, /loraLayers: expected some of/, training("never", "--lora-rank", "2", "--lora-layers", "atention"));
  assert.ok(!existsSync(at("never")));
}); // prettier-ignore
test.run();
