// The configs of public checkpoints that come as a file alone: facts of the models, as their repositories state
// them (models.md 3, 6, 7, 8).

/** text_encoder of FLUX.1: openai/clip-vit-large-patch14, its text tower. */
export const clipLConfigJson = {
  vocab_size: 49408,
  hidden_size: 768,
  intermediate_size: 3072,
  num_hidden_layers: 12,
  num_attention_heads: 12,
  max_position_embeddings: 77,
  hidden_act: "quick_gelu",
  layer_norm_eps: 1e-5,
  eos_token_id: 2,
} as const;

/** text_encoder_2 of FLUX.1: google/t5-v1_1-xxl, its encoder. */
export const t5XxlConfigJson = {
  vocab_size: 32128,
  d_model: 4096,
  d_kv: 64,
  d_ff: 10240,
  num_layers: 24,
  num_heads: 64,
  relative_attention_num_buckets: 32,
  relative_attention_max_distance: 128,
  layer_norm_epsilon: 1e-6,
  feed_forward_proj: "gated-gelu",
} as const;

/** HPSv2, HPSv2.1 and laion/CLIP-ViT-H-14-laion2B-s32B-b79K in OpenCLIP's naming. */
export const openClipVitHConfigJson = {
  embed_dim: 1024,
  vision_cfg: { image_size: 224, layers: 32, width: 1280, head_width: 80, patch_size: 14 },
  text_cfg: { context_length: 77, vocab_size: 49408, width: 1024, heads: 16, layers: 24 },
} as const;

const hfTower = { hidden_act: "gelu", layer_norm_eps: 1e-5, num_attention_heads: 16 } as const;

/** The same in transformers' naming, PickScore's: padding repeats the end token, 49407. */
export const hfClipVitHConfigJson = {
  projection_dim: 1024,
  text_config: {
    ...hfTower,
    vocab_size: 49408,
    hidden_size: 1024,
    intermediate_size: 4096,
    num_hidden_layers: 24,
    max_position_embeddings: 77,
    eos_token_id: 2,
  },
  vision_config: {
    ...hfTower,
    hidden_size: 1280,
    intermediate_size: 5120,
    num_hidden_layers: 32,
    image_size: 224,
    patch_size: 14,
  },
} as const;

/** google/siglip-so400m-patch14-384, its image tower: Aesthetic Predictor v2.5's. */
export const so400mConfigJson = {
  hidden_size: 1152,
  intermediate_size: 4304,
  num_hidden_layers: 27,
  num_attention_heads: 16,
  image_size: 384,
  patch_size: 14,
  hidden_act: "gelu_pytorch_tanh",
  layer_norm_eps: 1e-6,
} as const;
