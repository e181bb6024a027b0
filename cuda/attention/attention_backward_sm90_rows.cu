// Before and after the main kernel of attention's backward on Hopper: a pass over dout and out, and one over
// the sums of dq. Bound by memory: 4 Dh and 6 Dh bytes a query and head.

#include "cuda/attention/attention_backward_sm90.h"
#include "cuda/attention/head_tiles.cuh"
#include "cuda/attention/query_sums.cuh"
#include "cuda/attention/scores.cuh"
#include "cuda/common/dtype.cuh"
#include "cuda/common/launch.cuh"
#include "cuda/common/warp.cuh"

namespace srpo::cuda::attention {
namespace {

constexpr int kThreads = 256;
constexpr int kWarps = kThreads / kWarp;
constexpr int kQueries = kBackwardQueries;

/// A warp a row, also of those past Lq.
__global__ void __launch_bounds__(kThreads)
    backward_statistics_kernel(float* statistics, unsigned* taken, const bfloat16* dout,
                               const bfloat16* out, int64_t out_stride, const float* lse,
                               int64_t rows, int64_t tiles, int64_t N, int64_t Lq) {
  wait_for_earlier_kernel();
  const int64_t row = int64_t{blockIdx.x} * kWarps + warp();
  if (row >= rows) return;
  const int64_t tile = row / kQueries, head = tile / tiles;
  const int64_t i = tile % tiles * kQueries + row % kQueries;
  float dot = 0.f;
  if (i < Lq) {
    const int64_t token = head / N * Lq + i, at = head % N * kHead + lane() * 4;
    float a[4], b[4];
    load_pack(a, dout + token * N * kHead + at);
    load_pack(b, out + token * out_stride + at);
#pragma unroll
    for (int d = 0; d < 4; ++d) dot += a[d] * b[d];
  }
  dot = warp_sum(dot);
  if (lane() != 0) return;
  float* const to = statistics + tile * 2 * kQueries + row % kQueries;
  to[0] = i < Lq ? lse[head * Lq + i] * kLog2E : INFINITY;
  to[kQueries] = dot;
  if (row % kQueries == 0) taken[tile] = 0;
}

/// A thread eight channels of a query; sixteen of them a query.
__global__ void __launch_bounds__(kThreads)
    backward_queries_kernel(bfloat16* dq, const float* sums, int64_t pieces, int64_t tiles,
                            int64_t Lq, float scale) {
  wait_for_earlier_kernel();
  const int64_t piece = int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (piece >= pieces) return;
  const int64_t row = piece / (kHead / 8), tile = row / kQueries, head = tile / tiles;
  const int64_t i = tile % tiles * kQueries + row % kQueries;
  if (i >= Lq) return;
  const int d = static_cast<int>(piece % (kHead / 8)), q = static_cast<int>(row % kQueries);
  const auto& from = reinterpret_cast<const QuerySums<kQueries>*>(sums)[tile][d / 8][q / 8];
  float values[8];
#pragma unroll
  for (int g = 0; g < 8; ++g)
    values[g] = scale * from[d % 8 / 2 * 32 + g * 4 + q % 8 / 2][d % 2 * 2 + q % 2];
  store_pack(dq + (head * Lq + i) * kHead + d * 8, values);
}

int64_t tiles_of(const AttentionBackward& op) {
  return ceil_div(op.q.dim(2), kQueries);
}

}  // namespace

void backward_statistics(float* statistics, unsigned* taken, const AttentionBackward& op,
                         Stream& stream) {
  const auto [B, N, Lq, Dh] = op.q.sizes<4>();
  const int64_t tiles = tiles_of(op), rows = B * N * tiles * kQueries;
  launch(backward_statistics_kernel,
         {.grid = ceil_div(rows, kWarps), .block = kThreads, .stream = stream}, statistics, taken,
         op.dout.data<bfloat16>(), op.out.data<bfloat16>(), op.out.dim(2), op.lse.data<float>(),
         rows, tiles, N, Lq);
}

void backward_queries(const AttentionBackward& op, const float* sums, Stream& stream) {
  const auto [B, N, Lq, Dh] = op.q.sizes<4>();
  const int64_t tiles = tiles_of(op), pieces = B * N * tiles * kQueries * (kHead / 8);
  launch(backward_queries_kernel,
         {.grid = ceil_div(pieces, kThreads), .block = kThreads, .stream = stream},
         op.dq.data<bfloat16>(), sums, pieces, tiles, Lq, op.scale);
}

}  // namespace srpo::cuda::attention
