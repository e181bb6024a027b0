// The plan against the figures that kernels.md derives for FLUX.1-dev, and its rates against their files.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import path from "node:path";
import { test } from "uvu";
import { fluxConfig } from "../../ts/models/flux/config.js";
import { fluxParameters } from "../../ts/models/flux/parameters.js";
import { ParameterSet } from "../../ts/nn/parameter_set.js";
import { AdamW, momentForms } from "../../ts/optim/adamw.js";
import { bytesOf } from "../../ts/tensor/dtype.js";
import type { Tensor } from "../../ts/tensor/tensor.js";
import { tinyFlux } from "../support/tiny_flux.js";
import { packageRoot } from "../../ts/native/load.js";
import { decoderHeld, fluxHeld } from "../../ts/plan/activations.js";
import { stateBytes, type Layout } from "../../ts/plan/layouts.js";
import { elementsOf, transformerCounts } from "../../ts/plan/memory.js";
import { methodCounts } from "../../ts/plan/methods.js";
import { modelsOf } from "../../ts/plan/models.js";
import { nearestThatFits } from "../../ts/plan/nearest.js";
import { layoutOf, planOf, type PlanRequest } from "../../ts/plan/plan.js";
import { planLines } from "../../ts/plan/print.js";
import { cards, cpuResults, type CardName } from "../../ts/plan/rates.js";
import {
  decoderForward,
  fluxForward,
  imageTower,
  latentSize,
  textTower,
} from "../../ts/plan/work.js";
import { clipTextParameters, twoTowerParameters } from "../../ts/models/clip/parameters.js";
import { t5Parameters } from "../../ts/models/t5/parameters.js";
import { trainConfig, trainSchema } from "../../ts/train/config.js";

const models = modelsOf({});
const near = (found: number, wanted: number, share: number, what: string) =>
  assert.ok(
    Math.abs(found - wanted) <= share * wanted,
    `${what}: expected ${wanted}, got ${found}`,
  );

function pictureAt(side: number) {
  const size = latentSize(models.vae, { height: side, width: side });
  return { samples: 1, textLength: 512, bytes: 2, ...size };
}

function request(values: Record<string, unknown>, card: CardName, more: Partial<PlanRequest> = {}) {
  const config = trainConfig([{ name: "test", values }]);
  return { config, models, machine: { card, gpus: 1, nodes: 1 }, ...more };
}

test("the built-in sizes are FLUX.1-dev's", () => {
  const { count, modulation } = transformerCounts(models, 2);
  near(count, 11.9014e9, 1e-4, "weights");
  near(modulation, 3.247e9, 2e-3, "modulation");
  near(elementsOf(t5Parameters(models.t5), 2), 4.762e9, 1e-2, "T5");
  near(elementsOf(clipTextParameters(models.clip), 2), 0.1231e9, 1e-2, "CLIP-L");
  near(elementsOf(twoTowerParameters(models.reward), 2), 0.986e9, 1e-3, "ViT-H/14");
});

test("operations are those of kernels.md 2.1", () => {
  for (const [side, gemm, attention, decoder] of [
    [720, 32.75e12, 4.51e12, 5.04e12],
    [1024, 59.49e12, 14.87e12, 10.47e12],
  ] as const) {
    const flux = fluxForward(models.transformer, pictureAt(side));
    near(flux.gemm, gemm, 2e-3, `gemm at ${side}`);
    near(flux.attention, attention, 2e-3, `attention at ${side}`);
    const vae = decoderForward(models.vae, pictureAt(side));
    near(vae.gemm + vae.attention + vae.convolution, decoder, 2e-2, `decoder at ${side}`);
  }
  const image = imageTower(models.reward);
  near(image.gemm + image.attention, 0.335e12, 2e-2, "image tower");
  const text = textTower(models.reward.text);
  near(text.gemm + text.attention, 0.047e12, 3e-2, "text tower");
});

test("optimizer states are those of kernels.md 3.2", () => {
  const base: Layout = {
    weightBytes: 2,
    master: "fp32",
    moments: "float32",
    gradients: "float32",
    factored: false,
    sharding: "none",
    ranks: 1,
  };
  const one = { sharding: "none", ranks: 1 } as const;
  const columns: readonly Partial<Layout>[] = [
    one,
    { ...one, factored: true },
    { sharding: "zero1", ranks: 8, factored: true },
    { sharding: "zero2", ranks: 8 },
    { sharding: "zero1", ranks: 32, factored: true },
    { sharding: "zero2", ranks: 32 },
    { sharding: "zero3", ranks: 8 },
    { sharding: "zero3", ranks: 32 },
  ];
  const rows: readonly (readonly [Partial<Layout>, readonly number[]])[] = [
    [{}, [214, 201, 76.3, 47.6, 62.9, 29.8, 26.8, 6.7]],
    [{ gradients: "bfloat16" }, [190, 184, 59.0, 44.6, 45.6, 29.0, 23.8, 6.0]],
    [{ master: "remainder", gradients: "bfloat16" }, [167, 160, 56.0, 41.7, 44.8, 28.3, 20.8, 5.2]],
    [
      { master: "remainder", moments: "bfloat16", gradients: "bfloat16" },
      [119, 112.5, 50.0, 35.7, 43.3, 26.8, 14.9, 3.7],
    ],
    [
      { master: "remainder", moments: "8bit", gradients: "bfloat16" },
      [95.6, 89.1, 47.1, 32.8, 42.6, 26.0, 11.9, 3.0],
    ],
    [
      { master: "none", moments: "8bit", gradients: "bfloat16" },
      [71.8, 65.3, 44.1, 29.8, 41.9, 25.3, 9.0, 2.2],
    ],
  ];
  const counts = { count: 11.9014e9, modulation: 3.247e9 };
  for (const [row, wanted] of rows)
    columns.forEach((column, i) => {
      const state = stateBytes({ ...base, ...row, ...column }, counts);
      const sum = state.weights + state.master + state.moments + state.gradients;
      near(sum / 1e9, wanted[i]!, 2e-2, JSON.stringify({ ...row, ...column }));
    });
});

test("what is planned for weights, gradients and moments is what is allocated", () => {
  const parameters = fluxParameters(fluxConfig(tinyFlux));
  for (const rounding of ["remainder", "stochastic"] as const)
    for (const moments of momentForms)
      for (const gradDtype of ["float32", "bfloat16"] as const) {
        const set = ParameterSet.create(parameters, {
          dtype: "bfloat16",
          trainable: true,
          gradDtype,
        });
        const adamw = new AdamW(set, { rounding, moments });
        const { m, v, mScale, vScale, remainder } = adamw;
        const bytes = (...tensors: (Tensor | undefined)[]) =>
          tensors.reduce((sum, t) => sum + (t === undefined ? 0 : t.size * bytesOf[t.dtype]), 0);
        const asked = request({ rounding, moments, gradDtype }, "h20");
        const state = stateBytes(layoutOf(asked), { count: set.weights.size, modulation: 0 });
        assert.equal(state.weights, bytes(set.weights));
        assert.equal(state.gradients, bytes(set.gradients));
        assert.equal(state.master, bytes(remainder));
        const blocks = bytes(m, v, mScale, vScale) - state.moments;
        assert.ok(blocks >= 0 && blocks < 2, `${moments}: ${blocks} bytes more`);
        adamw.dispose();
        set.dispose();
      }
});

test("ZeRO-1 has all gradients, ZeRO-2 its part and some buckets, either less what is factored", () => {
  const machine = { card: "h20", gpus: 8, nodes: 1 } as const;
  const bytesOfPart = (modulationGradients: "full" | "factors", sharding: "zero1" | "zero2") => {
    const { parts } = planOf(
      request({ modulationGradients }, "h20", { machine, layout: { sharding } }),
    );
    return (name: string) => parts.find((part) => part.name === name)?.bytes;
  };
  near(bytesOfPart("full", "zero1")("gradients")!, 4 * 11.9e9, 1e-3, "full");
  near(bytesOfPart("factors", "zero1")("gradients")!, 4 * (11.9e9 - 3.246e9), 1e-3, "factors");
  assert.equal(bytesOfPart("full", "zero1")("gradients on their way"), undefined);
  const two = bytesOfPart("full", "zero2");
  near(two("gradients")!, (4 * 11.9e9) / 8, 1e-3, "ZeRO-2");
  near(two("gradients on their way")!, 4 * 4 * 2 ** 27, 1e-9, "four buckets");
});

test("factors of modulation gradients: kernels.md's 65.3 GB, and what an update's samples leave", () => {
  const options = {
    embeddings: "x",
    rounding: "stochastic",
    moments: "8bit",
    gradDtype: "bfloat16",
    modulationGradients: "factors",
  };
  const { parts, missing, untried, fits } = planOf(request(options, "h20"));
  const bytes = (...names: string[]) =>
    parts.filter(({ name }) => names.includes(name)).reduce((sum, part) => sum + part.bytes, 0);
  near(bytes("weights", "moments", "gradients") / 1e9, 65.3, 1e-2, "weights, moments, gradients");
  // 32 prompts in two branches; dy of 1.06 M values (kernels.md 2.3), and x of 3072 for each of 77 matrices.
  near(bytes("gradient factors"), 64 * 2 * (1.06e6 + 77 * 3072), 1e-2, "factors");
  assert.ok(fits);
  assert.deepEqual([missing, untried], [[], ["the cuda device"]]);
});

test("block inputs alone take what kernels.md 3.1 says; all that the tape keeps takes more than its lean set", () => {
  const held = (side: number, recompute: boolean) =>
    fluxHeld(models.transformer, pictureAt(side), { recompute }).kept / 1e9;
  // with what stands before and after the blocks, about a twentieth
  near(held(720, true), 0.89, 0.08, "block inputs at 720");
  near(held(1024, true), 1.6, 0.08, "block inputs at 1024");
  assert.ok(
    held(720, false) > 9.5,
    "kernels.md's lean set needs kernels that recompute norms and gelu",
  );
  const vae = decoderHeld(models.vae, pictureAt(720), { recompute: false }).kept / 1e9;
  assert.ok(vae > 1.8, `the 30 norms' inputs alone are 1.8 GB, got ${vae}`);
});

test("a step's time is kernels.md 2.2's by its rates, and says by which kind of rate", () => {
  const kept = { batch: 1, recompute: false, recomputeVae: false, embeddings: "x" };
  for (const [card, limit, attainable] of [
    ["h20", 7.98, 8.6],
    ["h100", 1.19, 1.72],
    ["h200", 1.19, 1.59],
  ] as const) {
    const plan = planOf(request(kept, card));
    const of = (kind: string) => {
      const { stages } = plan.times.find((time) => time.kind === kind)!;
      const before = stages.filter(({ name }) => name !== "optimizer");
      return before.reduce((sum, { seconds }) => sum + seconds, 0);
    };
    near(of("vendor"), limit, 0.02, `${card} limit`);
    near(of("estimate"), attainable, 0.02, `${card} attainable`);
    const text = planLines(plan, 19).join("\n");
    assert.match(text, /an estimate, by others' published rates; our kernels have not run/);
    assert.match(text, /has never run on hardware: the cuda device/);
    assert.ok(!plan.times.some(({ kind }) => kind === "measured"), "nothing was measured on a GPU");
  }
});

test("where no rate is known nothing is said of time", () => {
  for (const [values, card] of [
    [{ device: "emulated" }, "cpu"],
    [{ precision: "f32" }, "h200"],
  ] as const) {
    const plan = planOf(request(values, card));
    assert.deepEqual(plan.times, []);
    assert.match(planLines(plan, 19).join("\n"), /no rate is known of this device/);
  }
});

test("what is called measured stands in the bench's file", () => {
  const { results } = JSON.parse(readFileSync(path.join(packageRoot, cpuResults), "utf8")) as {
    results: { name: string; gflops?: number; gigabytesPerSecond?: number }[];
  };
  const line = (name: string) => {
    const found = results.find((result) => result.name.replaceAll(/ +/g, " ") === name);
    assert.ok(found, name);
    return (found.gflops ?? found.gigabytesPerSecond!) * 1e9;
  };
  for (const [precision, dtype] of [
    ["bf16", "bfloat16"],
    ["f32", "float32"],
  ] as const) {
    const [rates] = cards.cpu.rates[precision];
    const attention = `attention ${dtype} B=1 N=12 L=1152 Dh=64`;
    const both = "forward+backward";
    near(rates.gemm, line(`linear ${dtype} M=1152 N=3072 K=768 ${both}`), 1e-3, "gemm");
    near(rates.attention, line(`${attention} forward`), 1e-3, "attention");
    near(rates.attentionBackward, line(`${attention} ${both}`), 1e-3, "attention backward");
    near(rates.convolution, line(`conv2d ${dtype} [1,64,64,128]->128 3x3 ${both}`), 1e-3, "conv");
    near(rates.update, line(`adamwStep ${dtype} n=16777216`), 3e-3, "update");
  }
  for (const name of ["h20", "h100", "h200"] as const)
    assert.ok(cards[name].rates.bf16.every(({ kind }) => (kind as string) !== "measured"));
});

test("what does not fit is answered with the nearest setting that does", () => {
  const { h200 } = { h200: request({ embeddings: "x" }, "h200") };
  assert.equal(planOf(h200).fits, false);
  const { today } = nearestThatFits(h200);
  assert.ok(today!.plan.fits);
  assert.deepEqual(today!.changes, ["--modulation-gradients factors", "--moments bfloat16"]);
  const { today: smallest } = nearestThatFits(request({ embeddings: "x" }, "h20"));
  assert.deepEqual(smallest!.changes, [
    "--modulation-gradients factors",
    "--grad-dtype bfloat16",
    "--moments bfloat16",
    "--rounding stochastic",
  ]);

  const machine = { card: "h20", gpus: 1, nodes: 1, memory: 70e9 } as const;
  const { today: none, later } = nearestThatFits(request({ embeddings: "x" }, "h20", { machine }));
  assert.equal(none, undefined, "6 bytes a weight are more than 70 GB");
  assert.ok(later!.plan.fits);
  assert.equal(later!.plan.untried.length, 2, "several ranks have not run either");

  const eight = { card: "h20", gpus: 8, nodes: 1 } as const;
  const sides = { height: 1024, width: 1024 };
  const kept = request({ embeddings: "x", recompute: false, ...sides }, "h20", {
    machine: eight,
    layout: { sharding: "zero1" },
  });
  assert.equal(planOf(kept).fits, false);
  const { today: again } = nearestThatFits(kept);
  assert.deepEqual(again!.changes, ["--recompute all"]);
});

test("LoRA trains little and keeps the base's weights", () => {
  const plan = planOf(request({ embeddings: "x", loraRank: 32 }, "h20"));
  assert.ok(plan.fits);
  assert.deepEqual([plan.missing, plan.untried], [[], ["the cuda device"]]);
  const bytes = (name: string) => plan.parts.find((part) => part.name === name)!.bytes;
  near(bytes("frozen weights"), 23.8e9, 1e-3, "base");
  assert.ok(bytes("moments") < 1.2e9);
  const fewer = planOf(request({ loraRank: 32, loraLayers: ["attention"] }, "h20"));
  assert.ok(fewer.bytes < planOf(request({ loraRank: 32 }, "h20")).bytes);
});

test("every method has counts, and moments take what they are said to", () => {
  for (const method of trainSchema.method.choices) {
    const config = trainConfig([{ name: "test", values: { method } }]);
    const counts = methodCounts(config);
    assert.ok(
      Object.values(counts).every((n) => Number.isFinite(n) && n >= 0),
      method,
    );
  }
  const moments = (form: "float32" | "bfloat16" | "8bit") =>
    planOf(request({ moments: form }, "h20")).parts.find(({ name }) => name === "moments")!.bytes;
  near(moments("bfloat16"), moments("float32") / 2, 1e-9, "bfloat16");
  near(moments("8bit"), (moments("float32") / 4) * (257 / 256), 1e-9, "8bit");
  assert.equal(layoutOf(request({ precision: "f32" }, "cpu")).weightBytes, 4);
});

test("sizes that the models do not take are refused", () => {
  assert.throws(() => planOf(request({ height: 712 }, "cpu")), {
    code: "ERR_CONFIG",
    message: /height: expected a multiple of 16, got 712/,
  });
  assert.throws(() => modelsOf({ model: "/nowhere/flux" }), {
    code: "ERR_CONFIG",
    message: /model: expected a FLUX folder or flux.1-dev, got \/nowhere\/flux/,
  });
});

test.run();
