#pragma once
#include <cstdint>

namespace srpo::cpu {

/// Sizes of the blocks of attention for a head size; fixed, so that results do not depend on threads.
struct AttentionBlocks {
  int64_t keys;          // of one block
  int64_t queries;       // of one block
  int64_t task_queries;  // of one task of forward: as long as its keys are packed once for them all
};
static constexpr AttentionBlocks attention_blocks(int64_t Dh) {
  return Dh <= 128 ? AttentionBlocks{192, 48, 192} : AttentionBlocks{Dh <= 256 ? 96 : 64, 48, 144};
}

/// A row of floats in scratch: whole vectors, and an odd number of cache lines, so that a column of
/// rows is spread over all sets of the cache.
static constexpr int64_t padded(int64_t n) {
  return ((n + 15) / 16 | 1) * 16;
}
static constexpr int64_t up_to_16(int64_t n) {
  return (n + 15) / 16 * 16;
}

/// What forward and backward share: the scores of one head of one sample.
template <typename T>
struct AttentionScores {
  const T* q;               // [Lq, Dh]
  const T* k;               // [Lk, Dh]
  const T* v;               // [Lk, Dh]
  const float* bias;        // [Lq, Lk] or null
  const uint16_t* bias_bf;  // the same as bfloat16, or null
  const int32_t* key_mask;  // [Lk] or null
  int64_t Lq, Lk, Dh;
  float scale;
  bool causal;
};

/// Queries [first, end) of one head: out and lse.
template <typename T>
struct AttentionForwardTask {
  AttentionScores<T> scores;
  T* out;  // row i at out + i * out_stride
  int64_t out_stride;
  float* lse;  // [Lq]
  int64_t first, end;
  float* scratch;  // attention_forward_scratch(Dh) floats, on a cache line
};

/// Keys [first, end) of one head: their dk and dv, and what they add to dq.
template <typename T>
struct AttentionBackwardTask {
  AttentionScores<T> scores;
  T* dk;          // [Lk, Dh]
  T* dv;          // [Lk, Dh]
  float* dq;      // [Lq, Dh up to 16], not yet scaled
  float* dbias;   // [Lq, Lk], added to, or null
  const T* dout;  // row i at dout + i * dout_stride
  int64_t dout_stride;
  const T* out;  // the same rows of out, out_stride apart
  int64_t out_stride;
  const float* lse;  // [Lq]
  int64_t first, end;
  float* scratch;  // attention_backward_scratch(Dh) floats, on a cache line
};

static constexpr int64_t attention_forward_scratch(int64_t Dh) {
  const auto [keys, queries, task] = attention_blocks(Dh);
  // kt, v; q, out; scores, p; mask, bias row; maximum, factor; sums
  return Dh * padded(keys) + keys * padded(Dh) + 2 * task * padded(Dh) +
         2 * queries * padded(keys) + 2 * padded(keys) + 2 * up_to_16(task) + 16 * task;
}
static constexpr int64_t attention_backward_scratch(int64_t Dh) {
  const auto [keys, queries, task] = attention_blocks(Dh);
  // kt, vt; k, dk, dv; q, dout; p, ds, and both in pairs; mask, bias row
  return 2 * Dh * padded(keys) + 3 * keys * padded(Dh) + 2 * queries * padded(Dh) +
         4 * queries * padded(keys) + 2 * padded(keys);
}

template <typename T>
struct AttentionKernels {
  void (*forward)(const AttentionForwardTask<T>&);
  void (*backward)(const AttentionBackwardTask<T>&);
  /// to = factor * (the sum of `parts` rows that lie `stride` apart), n elements, in order.
  void (*sum_parts)(T* to, const float* from, int64_t parts, int64_t stride, float factor,
                    int64_t n);
};

struct AttentionTables {
  AttentionKernels<float> f32;
  AttentionKernels<uint16_t> bf16;
};

extern const AttentionTables attention_generic;
extern const AttentionTables attention_avx2;
extern const AttentionTables attention_avx512;
extern const AttentionTables attention_avx512_bf16;

}  // namespace srpo::cpu
