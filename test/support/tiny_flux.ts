/** config.json of a transformer of three blocks with sizes that differ from one another. */
export const tinyFlux = {
  num_layers: 1,
  num_single_layers: 2,
  num_attention_heads: 2,
  attention_head_dim: 12,
  axes_dims_rope: [4, 4, 4],
  joint_attention_dim: 10,
  pooled_projection_dim: 7,
  guidance_embeds: true,
  in_channels: 12,
};
