import assert from "node:assert/strict";
import { suite } from "uvu";
import { autoencoderConfig, downsampling } from "../../ts/models/autoencoder/config.js";
import { clipTextConfig, hfClipConfig, openClipConfig } from "../../ts/models/clip/config.js";
import { fluxConfig, fluxDev } from "../../ts/models/flux/config.js";
import { t5Config } from "../../ts/models/t5/config.js";

const test = suite("model configs");
const refuses = (parse: (json: unknown) => unknown, json: unknown, message: string) =>
  assert.throws(() => parse(json), { code: "ERR_CONFIG", message });

test("FLUX.1-dev's public config gives its sizes; axes and out_channels have defaults", () => {
  const json = {
    _class_name: "FluxTransformer2DModel",
    attention_head_dim: 128,
    guidance_embeds: true,
    in_channels: 64,
    joint_attention_dim: 4096,
    num_attention_heads: 24,
    num_layers: 19,
    num_single_layers: 38,
    patch_size: 1,
    pooled_projection_dim: 768,
  };
  assert.deepEqual(fluxConfig(json), fluxDev);
});

test("every wrong value of a transformer's config is named", () => {
  refuses(
    fluxConfig,
    { patch_size: 2, num_layers: -1, num_attention_heads: "24", guidance_embeds: 1 },
    "transformer config: patch_size: expected 1, got 2; " +
      "num_layers: expected a whole number, 0 or more, got -1; " +
      'num_attention_heads: expected a whole number, 1 or more, got "24"; ' +
      "guidance_embeds: expected true or false, got 1",
  );
  refuses(
    fluxConfig,
    { attention_head_dim: 64 },
    "transformer config: axes_dims_rope: expected three even sizes whose sum is the head size, 64, " +
      "got [16,56,56]",
  );
  refuses(fluxConfig, [], "transformer config: expected a JSON object, got []");
});

test("an autoencoder may have any number of levels; what FLUX's has not is refused", () => {
  const json = {
    block_out_channels: [32, 64, 64],
    latent_channels: 4,
    layers_per_block: 1,
    scaling_factor: 0.5,
    use_quant_conv: false,
    use_post_quant_conv: false,
  };
  assert.equal(downsampling(autoencoderConfig(json)), 4);
  refuses(
    autoencoderConfig,
    { ...json, act_fn: "relu", block_out_channels: [32, 48], use_quant_conv: true },
    'vae config: act_fn: expected "silu", got "relu"; use_quant_conv: expected false, got true; ' +
      "block_out_channels: expected multiples of the 32 groups of the norms, got [32,48]",
  );
  refuses(
    autoencoderConfig,
    { ...json, down_block_types: ["DownEncoderBlock2D", "AttnDownEncoderBlock2D"] },
    "vae config: down_block_types: expected 3 times DownEncoderBlock2D, one for each of " +
      'block_out_channels, got ["DownEncoderBlock2D","AttnDownEncoderBlock2D"]',
  );
});

test("text encoders", () => {
  refuses(
    clipTextConfig,
    { hidden_size: 100, num_attention_heads: 12, hidden_act: "relu" },
    "text_encoder config: hidden_size: expected a multiple of the 12 heads, got 100; " +
      'hidden_act: expected one of quick_gelu, gelu, gelu_new, gelu_pytorch_tanh, got "relu"',
  );
  refuses(
    t5Config,
    {
      feed_forward_proj: "relu",
      vocab_size: 32128,
      d_model: 0,
      num_layers: 1,
      num_heads: 1,
      d_kv: 4,
      d_ff: 4,
    },
    'text_encoder_2 config: feed_forward_proj: expected "gated-gelu", got "relu"; ' +
      "d_model: expected a whole number, 1 or more, got 0",
  );
});

test("two towers: the parts' fields are named with their part", () => {
  const config = openClipConfig({
    model_cfg: {
      embed_dim: 8,
      vision_cfg: { image_size: 32, layers: 1, width: 32, head_width: 16, patch_size: 8 },
      text_cfg: { context_length: 7, vocab_size: 11, width: 16, heads: 2, layers: 1 },
    },
    preprocess_cfg: { mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5] },
  });
  assert.deepEqual(config.vision.mean, [0.5, 0.5, 0.5]);
  assert.equal(config.vision.heads, 2);
  refuses(
    openClipConfig,
    {
      embed_dim: 8,
      vision_cfg: { width: 40, head_width: 16, image_size: 4, patch_size: 8 },
      text_cfg: { heads: 3 },
    },
    "open_clip config: text_cfg.width: expected a multiple of the 3 heads, got 512; " +
      "vision_cfg.width: expected a multiple of head_width, 16, got 40; " +
      "vision_cfg.image_size: expected at least one patch of 8, got 4",
  );
  refuses(
    hfClipConfig,
    { projection_dim: 8, text_config: {} },
    "clip config: vision_config: expected an object, got nothing",
  );
});
test.run();
