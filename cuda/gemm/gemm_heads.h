// Where the heads of a projection to q, k and v go on the way out of the product, and what becomes of
// them there (gemm_heads.cuh).
#pragma once
#include "cuda/common/target.cuh"
#include "cuda/gemm/gemm_sm90.h"

namespace srpo::cuda {

constexpr int kHeadSize = 128;

/// The product's columns are q of all heads, then k, then v; its rows the tokens of one stream.
struct GemmHeads {
  bfloat16 *q = nullptr, *k = nullptr, *v = nullptr;      // [B, N, L, 128]
  const bfloat16 *q_scale = nullptr, *k_scale = nullptr;  // [128], or null: not normalised
  const float *cos = nullptr, *sin = nullptr;             // [L, 64], or null: not turned
  int N = 0, Li = 0, L = 0, offset = 0;                   // of the stream's first token
  float eps = 0;
};

/// For plan_gemm: tiles of whole heads alone.
GemmSizes sizes_of_heads(Gemms products);

/// x w^T + bias, which gemm_sm90 takes, into heads; of two products `heads` of each, with the same number of
/// them. `output` says nothing but the bias.
void gemm_sm90_heads(Gemms products, std::span<const GemmHeads> heads, Stream& stream);
void gemm_sm90_heads(Gemms products, std::span<const GemmHeads> heads, const GemmPlan& plan,
                     Stream& stream);

}  // namespace srpo::cuda
