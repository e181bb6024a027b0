// Attention in blocks: the scores of a block of queries and keys live in the cache only.
//
//   q, dq  [B, N, Lq, Dh],  k, v, dk, dv  [B, N, Lk, Dh],  dout  [B, Lq, N*Dh],  out  also wider   T
//   s = scale * q k^T + bias, hidden keys -infinity;  p = exp(s - lse);  out = p v
//
// Forward keeps the highest score and the sum of exponentials of a row from block to block and
// rescales what it has when a higher score comes (FlashAttention-2, Dao 2023, sec. 3.1).
// Backward makes p again from lse (sec. 3.1.2). With delta = <dout, out> of a row:
//   dv = p^T dout,  dp = dout v^T,  ds = p * (dp - delta),  dbias = sum over b of ds
//   dq = scale * ds k,  dk = scale * ds^T q
//
// A task of forward is a range of queries of one head, a task of backward a range of keys of one head
// (of all samples in turn where the bias has a gradient): each writes its own, and dq has one part a
// range, summed in order. T is float or bfloat16; every sum runs in float.

#include "cpp/ops/attention/attention.h"

#include <algorithm>

#include "cpp/cpu/attention/attention_kernels.h"
#include "cpp/cpu/attention/scratch.h"
#include "cpp/cpu/isa.h"
#include "cpp/cpu/parallel.h"
#include "cpp/cpu/visit.h"

namespace srpo::cpu {
namespace {

const AttentionTables& tables() {
  static const auto& best = isa().avx512_bf16
                                ? attention_avx512_bf16
                                : best_of(attention_generic, attention_avx2, attention_avx512);
  return best;
}

template <typename T>
const AttentionKernels<T>& kernels() {
  if constexpr (sizeof(T) == 4)
    return tables().f32;
  else
    return tables().bf16;
}

int64_t ceil_div(int64_t a, int64_t b) {
  return (a + b - 1) / b;
}

template <typename T, typename Op>
AttentionScores<T> scores_of(const Op& op, int64_t b, int64_t n) {
  const auto [B, N, Lq, Dh] = op.q.template sizes<4>();
  const int64_t Lk = op.k.dim(2), head = b * N + n;
  AttentionScores<T> scores{
      .q = op.q.template data<T>() + head * Lq * Dh,
      .k = op.k.template data<T>() + head * Lk * Dh,
      .v = op.v.template data<T>() + head * Lk * Dh,
      .bias = nullptr,
      .bias_bf = nullptr,
      .key_mask = op.key_mask ? op.key_mask.template data<int32_t>() + b * Lk : nullptr,
      .Lq = Lq,
      .Lk = Lk,
      .Dh = Dh,
      .scale = op.scale,
      .causal = op.causal,
  };
  if (op.bias && op.bias.dtype == DType::kFloat32)
    scores.bias = op.bias.template data<float>() + n * Lq * Lk;
  else if (op.bias)
    scores.bias_bf = op.bias.template data<uint16_t>() + n * Lq * Lk;
  return scores;
}

template <typename T>
void forward(const AttentionForward& op) {
  const auto [B, N, Lq, Dh] = op.q.sizes<4>();
  // Ranges of nearly equal length, whole register tiles of six rows.
  const int64_t ranges = ceil_div(Lq, attention_blocks(Dh).task_queries);
  const int64_t rows = ceil_div(ceil_div(Lq, ranges), 6) * 6;
  parallel_blocks(B * N * ranges, [&](int64_t block) {
    const int64_t head = block / ranges, b = head / N, n = head % N;
    const int64_t first = std::min(Lq, block % ranges * rows), end = std::min(Lq, first + rows);
    if (first == end) return;
    kernels<T>().forward({
        .scores = scores_of<T>(op, b, n),
        .out = op.out.data<T>() + b * Lq * op.out.dim(2) + n * Dh,
        .out_stride = op.out.dim(2),
        .lse = op.lse.data<float>() + head * Lq,
        .first = first,
        .end = end,
        .scratch = scratch(attention_forward_scratch(Dh)),
    });
  });
}

template <typename T>
void backward(const AttentionBackward& op) {
  const auto [B, N, Lq, Dh] = op.q.sizes<4>();
  const int64_t Lk = op.k.dim(2), wide = up_to_16(Dh);
  const T* dout = op.dout.data<T>();
  const T* out = op.out.data<T>();
  const auto finish_dq = [&, Lq = Lq, Dh = Dh, B = B, N = N](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row)
      kernels<T>().sum_parts(op.dq.data<T>() + row * Dh, op.dq_parts.data<float>() + row * wide,
                             op.dq_parts.dim(0), B * N * Lq * wide, op.scale, Dh);
  };

  const int64_t parts = op.dq_parts.dim(0), keys = ceil_div(Lk, parts);
  float* dq_parts = op.dq_parts.data<float>();
  const int64_t turns = op.dbias ? B : 1;  // samples that one task takes in turn
  parallel_blocks(B / turns * N * parts, [&](int64_t block) {
    const int64_t part = block % parts, head_of_task = block / parts;
    const int64_t first = std::min(Lk, part * keys), end = std::min(Lk, first + keys);
    for (int64_t turn = 0; turn < turns; ++turn) {
      const int64_t head = turn * N + head_of_task, b = head / N, n = head % N;
      float* dq = dq_parts + (part * B * N + head) * Lq * wide;
      if (first == end) {
        std::fill_n(dq, Lq * wide, 0.f);
        continue;
      }
      kernels<T>().backward({
          .scores = scores_of<T>(op, b, n),
          .dk = op.dk.data<T>() + head * Lk * Dh,
          .dv = op.dv.data<T>() + head * Lk * Dh,
          .dq = dq,
          .dbias = op.dbias ? op.dbias.data<float>() + n * Lq * Lk : nullptr,
          .dout = dout + (b * Lq * N + n) * Dh,
          .dout_stride = N * Dh,
          .out = out + b * Lq * op.out.dim(2) + n * Dh,
          .out_stride = op.out.dim(2),
          .lse = op.lse.data<float>() + head * Lq,
          .first = first,
          .end = end,
          .scratch = scratch(attention_backward_scratch(Dh)),
      });
      if (parts == 1) finish_dq(head * Lq, (head + 1) * Lq);
    }
  });

  if (parts > 1) parallel_ranges(B * N * Lq, rows_of_range(Dh), finish_dq);
}

}  // namespace

void attention_forward(const AttentionForward& op, Stream&) {
  visit_bits(op.q.dtype, [&]<typename T>() { forward<T>(op); });
}

void attention_backward(const AttentionBackward& op, Stream&) {
  visit_bits(op.q.dtype, [&]<typename T>() { backward<T>(op); });
}

}  // namespace srpo::cpu
