// The micro models' sizes, as the config files of the public layouts say them: FLUX's own classes, small.

/** Tokens of a prompt. */
export const microClipTokens = 32;
export const microT5Tokens = 48;

export const transformerConfig = {
  _class_name: "FluxTransformer2DModel",
  patch_size: 1,
  in_channels: 64,
  out_channels: null,
  num_layers: 2,
  num_single_layers: 4,
  attention_head_dim: 32,
  num_attention_heads: 4,
  joint_attention_dim: 64,
  pooled_projection_dim: 64,
  guidance_embeds: true,
  axes_dims_rope: [4, 14, 14],
};

const levels = 3; // 4x down: 64 pixels a side are 16 x 16 latents, 64 packed tokens

export const vaeConfig = {
  _class_name: "AutoencoderKL",
  act_fn: "silu",
  in_channels: 3,
  out_channels: 3,
  latent_channels: 16,
  block_out_channels: [16, 32, 64],
  down_block_types: Array.from({ length: levels }, () => "DownEncoderBlock2D"),
  up_block_types: Array.from({ length: levels }, () => "UpDecoderBlock2D"),
  layers_per_block: 1,
  norm_num_groups: 8,
  mid_block_add_attention: true,
  use_quant_conv: false,
  use_post_quant_conv: false,
  sample_size: 64,
  scaling_factor: 0.3611,
  shift_factor: 0.1159,
};

/** The start and end tokens are the vocabulary's last two. */
export function clipConfig(vocabulary: number, tokens = microClipTokens) {
  return {
    architectures: ["CLIPTextModel"],
    model_type: "clip_text_model",
    vocab_size: vocabulary,
    hidden_size: 64,
    intermediate_size: 256,
    num_hidden_layers: 2,
    num_attention_heads: 4,
    max_position_embeddings: tokens,
    hidden_act: "quick_gelu",
    layer_norm_eps: 1e-5,
    projection_dim: 64,
    bos_token_id: vocabulary - 2,
    eos_token_id: vocabulary - 1,
    pad_token_id: vocabulary - 1,
  };
}

export function t5Config(vocabulary: number) {
  return {
    architectures: ["T5EncoderModel"],
    model_type: "t5",
    vocab_size: vocabulary,
    d_model: 64,
    d_kv: 16,
    d_ff: 128,
    num_layers: 2,
    num_heads: 4,
    relative_attention_num_buckets: 32,
    relative_attention_max_distance: 128,
    dropout_rate: 0,
    layer_norm_epsilon: 1e-6,
    feed_forward_proj: "gated-gelu",
    is_encoder_decoder: false,
    use_cache: false,
    tie_word_embeddings: false,
    pad_token_id: 0,
    eos_token_id: 1,
  };
}

/** open_clip_config.json: the layout of HPSv2.1's model at the size of the micro world. */
export function rewardConfig(vocabulary: number, tokens = microClipTokens) {
  return {
    model_cfg: {
      embed_dim: 64,
      vision_cfg: { image_size: 64, layers: 4, width: 128, head_width: 32, patch_size: 8 },
      text_cfg: {
        context_length: tokens,
        vocab_size: vocabulary,
        width: 128,
        heads: 4,
        layers: 2,
      },
    },
    preprocess_cfg: {
      mean: [0.48145466, 0.4578275, 0.40821073],
      std: [0.26862954, 0.26130258, 0.27577711],
    },
  };
}

export const schedulerConfig = {
  _class_name: "FlowMatchEulerDiscreteScheduler",
  num_train_timesteps: 1000,
  shift: 3,
  use_dynamic_shifting: true,
  base_shift: 0.5,
  max_shift: 1.15,
  base_image_seq_len: 256,
  max_image_seq_len: 4096,
};

export const modelIndex = {
  _class_name: "FluxPipeline",
  _diffusers_version: "0.32.0",
  scheduler: ["diffusers", "FlowMatchEulerDiscreteScheduler"],
  text_encoder: ["transformers", "CLIPTextModel"],
  text_encoder_2: ["transformers", "T5EncoderModel"],
  tokenizer: ["transformers", "CLIPTokenizer"],
  tokenizer_2: ["transformers", "T5TokenizerFast"],
  transformer: ["diffusers", "FluxTransformer2DModel"],
  vae: ["diffusers", "AutoencoderKL"],
};
