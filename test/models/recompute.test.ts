// Small models with drawn weights: what recomputing, freeing and rounding may and may not change.
import assert from "node:assert/strict";
import { backward } from "../../ts/autograd/backward.js";
import { noGrad } from "../../ts/autograd/tape.js";
import { autoencoderConfig } from "../../ts/models/autoencoder/config.js";
import { Autoencoder } from "../../ts/models/autoencoder/model.js";
import { openClipConfig } from "../../ts/models/clip/config.js";
import { TwoTower } from "../../ts/models/clip/two_tower.js";
import { fluxConfig } from "../../ts/models/flux/config.js";
import { Flux, timesThousand, type FluxInputs } from "../../ts/models/flux/model.js";
import { fluxIds, fluxRope } from "../../ts/models/flux/positions.js";
import { imageRewardConfig } from "../../ts/models/image_reward/config.js";
import { ImageReward } from "../../ts/models/image_reward/model.js";
import { aestheticConfig } from "../../ts/models/siglip/config.js";
import { AestheticPredictor } from "../../ts/models/siglip/model.js";
import { t5Config } from "../../ts/models/t5/config.js";
import { T5Encoder } from "../../ts/models/t5/model.js";
import { initializeParameters } from "../../ts/nn/init.js";
import type { ParameterSet } from "../../ts/nn/parameter_set.js";
import type { Device } from "../../ts/tensor/device.js";
import { tidy } from "../../ts/tensor/scope.js";
import type { Tensor } from "../../ts/tensor/tensor.js";
import { forEachDevice, leaf, memoryInUse, randn, relativeError } from "../support/index.js";

const flux = fluxConfig({
  num_layers: 2,
  num_single_layers: 2,
  num_attention_heads: 3,
  attention_head_dim: 16,
  axes_dims_rope: [4, 6, 6],
  joint_attention_dim: 10,
  pooled_projection_dim: 7,
  guidance_embeds: true,
  in_channels: 12,
});
const vae = autoencoderConfig({
  block_out_channels: [8, 16],
  latent_channels: 3,
  layers_per_block: 1,
  norm_num_groups: 4,
  scaling_factor: 0.5,
  use_quant_conv: false,
  use_post_quant_conv: false,
});
const t5 = t5Config({
  feed_forward_proj: "gated-gelu",
  vocab_size: 11,
  d_model: 10,
  num_layers: 2,
  num_heads: 3,
  d_kv: 4,
  d_ff: 13,
});
const clip = openClipConfig({
  embed_dim: 6,
  vision_cfg: { image_size: 8, layers: 2, width: 24, head_width: 8, patch_size: 4 },
  text_cfg: { context_length: 7, vocab_size: 11, width: 16, heads: 2, layers: 2 },
});
const aesthetic = aestheticConfig({
  hidden_size: 12,
  num_attention_heads: 3,
  num_hidden_layers: 2,
  intermediate_size: 10,
  image_size: 9, // a pixel of each side is left out
  patch_size: 4,
  head_dims: [12, 5, 1],
});
const imageReward = imageRewardConfig({
  vis: { embed_dim: 12, depth: 2, num_heads: 2, img_size: 8, patch_size: 4 },
  txt: {
    hidden_size: 8,
    num_hidden_layers: 2,
    num_attention_heads: 2,
    intermediate_size: 10,
    vocab_size: 11,
    max_position_embeddings: 6,
  },
  mlp: [8, 6, 5, 4, 3, 1],
});

function fluxInputs(device: Device): FluxInputs {
  return {
    img: randn([2, 6, 12], { device, seed: 1 }),
    txt: randn([2, 3, 10], { device, seed: 2 }),
    pooled: randn([2, 7], { device, seed: 3 }),
    sigma: [0.7, 0.2],
    guidance: [3.5, 1],
    pe: fluxRope(flux, fluxIds({ textLength: 3, height: 2, width: 3 }), { device }),
  };
}

interface Case {
  readonly name: string;
  readonly make: (device: Device) => {
    parameters: ParameterSet;
    x: Tensor;
    forward: (x: Tensor, recompute: boolean) => Tensor;
  };
}

const cases: readonly Case[] = [
  {
    name: "FLUX",
    make: (device) => {
      const model = new Flux(flux, { device, trainable: true });
      const inputs = fluxInputs(device);
      return {
        parameters: model.parameters,
        x: inputs.img,
        forward: (img, recompute) => model.forward({ ...inputs, img }, { recompute }),
      };
    },
  },
  {
    name: "the autoencoder's decoder",
    make: (device) => {
      const model = new Autoencoder(vae, { device, trainable: true, parts: ["decoder"] });
      return {
        parameters: model.parameters,
        x: randn([1, 3, 5, 3], { device, seed: 4 }),
        forward: (z, recompute) => model.decode(z, { recompute }),
      };
    },
  },
  {
    name: "the autoencoder's encoder",
    make: (device) => {
      const model = new Autoencoder(vae, { device, trainable: true, parts: ["encoder"] });
      return {
        parameters: model.parameters,
        x: randn([1, 6, 10, 3], { device, seed: 5 }),
        forward: (image, recompute) => model.encode(image, { recompute }).moments,
      };
    },
  },
  {
    name: "the image tower",
    make: (device) => {
      const model = new TwoTower(clip, { device, trainable: true });
      return {
        parameters: model.parameters,
        x: randn([2, 8, 8, 3], { device, seed: 6 }),
        forward: (pixels, recompute) =>
          model.projectImage(model.encodeImage(pixels, { recompute })),
      };
    },
  },
  {
    name: "the aesthetic predictor",
    make: (device) => {
      const model = new AestheticPredictor(aesthetic, { device, trainable: true });
      return {
        parameters: model.parameters,
        x: randn([2, 9, 9, 3], { device, seed: 9 }),
        forward: (pixels, recompute) => model.score(model.encodeImage(pixels, { recompute })),
      };
    },
  },
  {
    name: "ImageReward",
    make: (device) => {
      const model = new ImageReward(imageReward, { device, trainable: true });
      const ids = [
        [1, 2, 3, 4],
        [5, 10, 0, 0],
      ];
      const mask = ids.map((row) => row.map((id) => (id === 0 ? 0 : 1)));
      return {
        parameters: model.parameters,
        x: randn([2, 8, 8, 3], { device, seed: 10 }),
        forward: (pixels, recompute) => model.score(model.encode(pixels, ids, { mask, recompute })),
      };
    },
  },
];

forEachDevice("recompute", (test, device) => {
  for (const { name, make } of cases)
    test(`${name}: the same output to the bit, and the same gradients`, async () => {
      const { parameters, x, forward } = make(device);
      initializeParameters(parameters, 7n);
      const seen = [];
      for (const recompute of [false, true]) {
        parameters.zeroGradients();
        const input = leaf(x);
        const y = forward(input, recompute);
        backward(y, randn(y.shape, { device, seed: 8 }));
        seen.push([y, input.grad!, parameters.gradients!].map((t) => t.read()));
      }
      const [plain, again] = await Promise.all(seen.map((reads) => Promise.all(reads)));
      assert.deepEqual(again![0], plain![0]);
      // What several blocks share (FLUX's vec) is summed block by block instead of use by use.
      for (const i of [1, 2]) assert.ok(relativeError(again![i]!, plain![i]!) < 1e-6);
      assert.ok(plain![2]!.some((g) => g !== 0));
      parameters.dispose();
    });

  test("T5: the same gradients, those of the shared bias too", async () => {
    const model = new T5Encoder(t5, { device, trainable: true });
    initializeParameters(model.parameters, 7n);
    const seen = [];
    for (const recompute of [false, true]) {
      model.parameters.zeroGradients();
      const y = model.encode([[1, 2, 3, 10, 0]], { recompute });
      backward(y, randn(y.shape, { device, seed: 8 }));
      seen.push(await model.parameters.gradients!.read());
    }
    assert.ok(relativeError(seen[1]!, seen[0]!) < 1e-6);
    model.dispose();
  });

  test("frozen weights: gradients reach the inputs only", async () => {
    const model = new Flux(flux, { device });
    initializeParameters(model.parameters, 7n);
    const inputs = fluxInputs(device);
    const img = leaf(inputs.img);
    const y = model.forward({ ...inputs, img }, { recompute: true });
    backward(y, randn(y.shape, { device, seed: 8 }));
    assert.ok((await img.grad!.read()).some((g) => g !== 0));
    assert.equal(model.parameters.gradients, undefined);
    model.dispose();
  });

  test("a forward that nothing differentiates keeps its output alone", async () => {
    const model = new Flux(flux, { device, trainable: true });
    initializeParameters(model.parameters, 7n);
    const inputs = fluxInputs(device);
    const run = () => tidy(() => noGrad(() => model.forward(inputs)));
    run();
    const before = await memoryInUse(device);
    const y = run();
    const kept = (await memoryInUse(device)) - before;
    assert.ok(kept <= 4096 + 4 * y.size, `${kept} bytes kept for ${y.size} numbers`);
    model.dispose();
  });
});

forEachDevice("Flux", (test, device) => {
  test("bfloat16 stays within 5e-2 of float32 on the same weights", async () => {
    const outputs = [];
    for (const dtype of ["float32", "bfloat16"] as const) {
      const model = new Flux(flux, { device, dtype });
      initializeParameters(model.parameters, 7n);
      const y = model.forward(fluxInputs(device));
      assert.equal(y.dtype, dtype);
      outputs.push(await y.read());
      model.dispose();
    }
    const error = relativeError(outputs[1]!, outputs[0]!);
    assert.ok(error < 5e-2, `${error}`);
  });

  test("the official autocast rounds timestep and guidance", () => {
    assert.deepEqual(timesThousand([0.859, 3.5], "bfloat16"), [860, 3504]);
    assert.deepEqual(timesThousand([0.859, 3.5]), [859, 3500]);
  });

  test("a guidance that is missing or not asked for is refused", () => {
    const model = new Flux(flux, { device });
    const inputs = fluxInputs(device);
    assert.throws(() => model.forward({ ...inputs, guidance: undefined }), {
      code: "ERR_CONFIG",
      message: "flux: guidance: expected one number a sample, got none",
    });
    assert.throws(() => model.forward({ ...inputs, sigma: [0.5] }), {
      code: "ERR_SHAPE",
      message: "flux: sigma: expected 2 numbers, got 1",
    });
    const schnell = new Flux({ ...flux, guidance: false }, { device });
    assert.throws(() => schnell.forward(inputs), {
      code: "ERR_CONFIG",
      message: "flux: guidance: expected none: this model has no guidance input, got some",
    });
    model.dispose();
    schnell.dispose();
  });
});
