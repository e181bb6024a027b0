import { ConfigReader } from "../../nn/config_reader.js";

/** Sizes of a T5 v1.1 encoder; see `t5Config`. */
export interface T5Config {
  readonly vocabulary: number;
  readonly width: number;
  readonly layers: number;
  readonly heads: number;
  readonly headSize: number;
  readonly mlp: number;
  readonly buckets: number;
  readonly maxDistance: number;
  readonly eps: number;
}

/**
 * The sizes in a text_encoder_2's config.json (transformers T5EncoderModel).
 *
 * @throws SrpoError ERR_CONFIG that names every wrong value
 */
export function t5Config(json: unknown): T5Config {
  const read = new ConfigReader(json, "text_encoder_2 config");
  read.oneOf("feed_forward_proj", ["gated-gelu"]);
  read.fixed("dense_act_fn", "gelu_new");
  const buckets = read.count("relative_attention_num_buckets", 32);
  const maxDistance = read.count("relative_attention_max_distance", 128);
  if (buckets % 4 !== 0) read.wrong("relative_attention_num_buckets", "a multiple of 4", buckets);
  if (maxDistance <= buckets / 4)
    read.wrong("relative_attention_max_distance", `more than ${buckets / 4}`, maxDistance);
  const config: T5Config = {
    vocabulary: read.count("vocab_size"),
    width: read.count("d_model"),
    layers: read.count("num_layers"),
    heads: read.count("num_heads"),
    headSize: read.count("d_kv"),
    mlp: read.count("d_ff"),
    buckets,
    maxDistance,
    eps: read.number("layer_norm_epsilon", 1e-6, { positive: true }),
  };
  read.check();
  return config;
}
