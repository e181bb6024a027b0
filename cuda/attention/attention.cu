// Attention in tiles: the scores of a tile of queries and keys live in registers only.
//
//   q, dq  [B, N, Lq, Dh],  k, v, dk, dv  [B, N, Lk, Dh],  dout  [B, Lq, N*Dh],  out  also wider   T
//   s = scale * q k^T + bias, hidden keys -infinity;  p = exp(s - lse);  out = p v
//
// Forward keeps the highest score and the sum of exponentials of a row from tile to tile and rescales
// what it has when a higher score comes (FlashAttention-2, Dao 2023, sec. 3.1).
// Backward makes p again from lse (sec. 3.1.2). With delta = <dout, out> of a row:
//   dv = p^T dout,  dp = dout v^T,  ds = p * (dp - delta),  dbias = sum over b of ds
//   dq = scale * ds k,  dk = scale * ds^T q
// in one kernel for dk and dv, a block a tile of keys; one for dq, a block a tile of queries; and one
// for dbias, a block a tile of it: each sum has one writer and one order.
//
// The plain kernels, for every size: products in float. What attention_sm90.h or attention_mma.h takes goes
// there. A block sums at most kColumns channels of a head; wider heads take several blocks, each of which
// makes the scores again.

#include "cpp/ops/attention/attention.h"

#include "cuda/attention/attention_mma.h"
#include "cuda/attention/attention_sm90.h"
#include "cuda/attention/scores.cuh"
#include "cuda/attention/tiles.cuh"
#include "cuda/common/launch.cuh"
#include "cuda/common/math.cuh"
#include "cuda/common/warp.cuh"

namespace srpo::cuda {
namespace {

using namespace attention;

/// Which tile of which head this block has, and which channels of it: grid {tiles of all heads, chunks}.
struct Task {
  int64_t head, first, column;
};
SRPO_DEVICE Task task_of(int64_t tiles, int columns) {
  return {blockIdx.x / tiles, blockIdx.x % tiles * kTile, int64_t{blockIdx.y} * columns};
}

template <int kColumns, typename T>
__global__ void __launch_bounds__(kThreads)
    attention_forward_kernel(T* out, int64_t out_stride, float* lse, const T* q, const T* k,
                             const T* v, const Scores<T> scores, int64_t query_tiles) {
  wait_for_earlier_kernel();
  auto& tiles = shared_memory<Tiles<kColumns>>();
  const auto [head, first, column] = task_of(query_tiles, kColumns);
  const int64_t Lq = scores.Lq, Lk = scores.Lk, Dh = scores.Dh;
  const int i0 = first_row(), j0 = first_column();
  const int64_t last = scores.causal && first + kTile < Lk ? first + kTile : Lk;

  Sums<kColumns> sums = {};
  float most[kEach], total[kEach];
#pragma unroll
  for (int r = 0; r < kEach; ++r) {
    most[r] = -INFINITY;
    total[r] = 0.f;
  }
  for (int64_t key = 0; key < last; key += kTile) {
    float s[kEach][kEach];
    dot_tile(s, tiles, Rows<T>{q + (head * Lq + first) * Dh, Dh, Lq - first},
             Rows<T>{k + (head * Lk + key) * Dh, Dh, Lk - key}, Dh);
#pragma unroll
    for (int r = 0; r < kEach; ++r) {
      float higher = most[r];
#pragma unroll
      for (int c = 0; c < kEach; ++c) {
        s[r][c] = scores(s[r][c], head, first + i0 + r, key + j0 + c);
        higher = fmaxf(higher, s[r][c]);
      }
      higher = warp_max(higher, kSide);
      // A row that has seen no key yet: from 0, so that nothing is infinity minus infinity.
      const float base = higher == -INFINITY ? 0.f : higher;
      const float factor = expf(most[r] - base);
      most[r] = higher;
      total[r] *= factor;
#pragma unroll
      for (int c = 0; c < kEach; ++c) {
        s[r][c] = expf(s[r][c] - base);
        total[r] += s[r][c];
      }
#pragma unroll
      for (int c = 0; c < kColumns / kSide; ++c) sums[r][c] *= factor;
    }
    put_weights(tiles, s);
    add_tile<kColumns>(sums, tiles, Rows<T>{v + (head * Lk + key) * Dh + column, Dh, Lk - key},
                       Dh - column);
  }

  float factor[kEach];
#pragma unroll
  for (int r = 0; r < kEach; ++r) {
    total[r] = warp_sum(total[r], kSide);
    factor[r] = total[r] == 0.f ? 0.f : 1.f / total[r];
    const int64_t i = first + i0 + r;
    if (column == 0 && j0 == 0 && i < Lq)
      lse[head * Lq + i] = total[r] == 0.f ? INFINITY : most[r] + logf(total[r]);
  }
  const int64_t b = head / scores.N, n = head % scores.N;
  store_tile<kColumns>(out + (b * Lq + first) * out_stride + n * Dh + column, out_stride,
                       Lq - first, Dh - column, sums, factor);
}

/// delta[b, n, i] = <dout, out> of a row; a warp a row.
template <typename T>
__global__ void __launch_bounds__(kThreads)
    attention_backward_delta_kernel(float* delta, const T* dout, const T* out, int64_t out_stride,
                                    int64_t rows, int64_t N, int64_t Lq, int64_t Dh) {
  wait_for_earlier_kernel();
  const int64_t row = int64_t{blockIdx.x} * (kThreads / kWarp) + warp();
  if (row >= rows) return;
  const int64_t head = row / Lq, i = row % Lq;
  const int64_t token = head / N * Lq + i;
  dout += (token * N + head % N) * Dh;
  out += token * out_stride + head % N * Dh;
  float sum = 0.f;
  for (int64_t d = lane(); d < Dh; d += kWarp) sum += float(dout[d]) * float(out[d]);
  sum = warp_sum(sum);
  if (lane() == 0) delta[row] = sum;
}

/// What backward reads.
template <typename T>
struct Saved {
  const T *q, *k, *v, *dout;
  const float *lse, *delta;
};

template <typename T>
SRPO_DEVICE Rows<T> heads_rows(const T* x, int64_t head, int64_t row, int64_t L, int64_t Dh) {
  return {x + (head * L + row) * Dh, Dh, L - row};
}
/// Rows of dout, where the heads of a token lie side by side.
template <typename T>
SRPO_DEVICE Rows<T> token_rows(const T* x, int64_t head, int64_t row, const Scores<T>& scores) {
  const int64_t stride = scores.N * scores.Dh;
  return {x + (head / scores.N * scores.Lq + row) * stride + head % scores.N * scores.Dh, stride,
          scores.Lq - row};
}
template <typename T>
SRPO_DEVICE Rows<T> from_column(const Rows<T>& rows, int64_t column) {
  return {rows.data + column, rows.stride, rows.rows};
}

/// p and ds of one tile in place of the products; query (key) is that of element (r, c).
template <typename T>
SRPO_DEVICE void differentiate(float (&p)[kEach][kEach], float (&ds)[kEach][kEach],
                               const Saved<T>& saved, const Scores<T>& scores, int64_t head,
                               int64_t query, int64_t key, bool queries_are_rows) {
#pragma unroll
  for (int r = 0; r < kEach; ++r)
#pragma unroll
    for (int c = 0; c < kEach; ++c) {
      const int64_t i = query + (queries_are_rows ? r : c), j = key + (queries_are_rows ? c : r);
      const float score = scores(p[r][c], head, i, j);
      const bool seen = score != -INFINITY;
      const int64_t row = head * scores.Lq + i;
      p[r][c] = seen ? expf(score - saved.lse[row]) : 0.f;
      ds[r][c] = seen ? p[r][c] * (ds[r][c] - saved.delta[row]) : 0.f;
    }
}

template <int kColumns, typename T>
__global__ void __launch_bounds__(kThreads)
    attention_backward_keys_kernel(T* dk, T* dv, const Saved<T> saved, const Scores<T> scores,
                                   int64_t key_tiles) {
  wait_for_earlier_kernel();
  auto& tiles = shared_memory<Tiles<kColumns>>();
  const auto [head, first, column] = task_of(key_tiles, kColumns);
  const int64_t Lq = scores.Lq, Lk = scores.Lk, Dh = scores.Dh;
  const Rows<T> keys = heads_rows(saved.k, head, first, Lk, Dh);
  const Rows<T> values = heads_rows(saved.v, head, first, Lk, Dh);

  Sums<kColumns> dk_sums = {}, dv_sums = {};
  for (int64_t query = scores.causal ? first : 0; query < Lq; query += kTile) {
    const Rows<T> queries = heads_rows(saved.q, head, query, Lq, Dh);
    const Rows<T> douts = token_rows(saved.dout, head, query, scores);
    float p[kEach][kEach], ds[kEach][kEach];
    dot_tile(p, tiles, keys, queries, Dh);
    dot_tile(ds, tiles, values, douts, Dh);
    differentiate(p, ds, saved, scores, head, query + first_column(), first + first_row(), false);
    put_weights(tiles, p);
    add_tile<kColumns>(dv_sums, tiles, from_column(douts, column), Dh - column);
    put_weights(tiles, ds);
    add_tile<kColumns>(dk_sums, tiles, from_column(queries, column), Dh - column);
  }
  const float scale[kEach] = {scores.scale, scores.scale, scores.scale, scores.scale};
  const float one[kEach] = {1.f, 1.f, 1.f, 1.f};
  const int64_t at = (head * Lk + first) * Dh + column;
  store_tile<kColumns>(dk + at, Dh, Lk - first, Dh - column, dk_sums, scale);
  store_tile<kColumns>(dv + at, Dh, Lk - first, Dh - column, dv_sums, one);
}

template <int kColumns, typename T>
__global__ void __launch_bounds__(kThreads)
    attention_backward_queries_kernel(T* dq, const Saved<T> saved, const Scores<T> scores,
                                      int64_t query_tiles) {
  wait_for_earlier_kernel();
  auto& tiles = shared_memory<Tiles<kColumns>>();
  const auto [head, first, column] = task_of(query_tiles, kColumns);
  const int64_t Lq = scores.Lq, Lk = scores.Lk, Dh = scores.Dh;
  const Rows<T> queries = heads_rows(saved.q, head, first, Lq, Dh);
  const Rows<T> douts = token_rows(saved.dout, head, first, scores);
  const int64_t last = scores.causal && first + kTile < Lk ? first + kTile : Lk;

  Sums<kColumns> sums = {};
  for (int64_t key = 0; key < last; key += kTile) {
    const Rows<T> keys = heads_rows(saved.k, head, key, Lk, Dh);
    float p[kEach][kEach], ds[kEach][kEach];
    dot_tile(p, tiles, queries, keys, Dh);
    dot_tile(ds, tiles, douts, heads_rows(saved.v, head, key, Lk, Dh), Dh);
    differentiate(p, ds, saved, scores, head, first + first_row(), key + first_column(), true);
    put_weights(tiles, ds);
    add_tile<kColumns>(sums, tiles, from_column(keys, column), Dh - column);
  }
  const float scale[kEach] = {scores.scale, scores.scale, scores.scale, scores.scale};
  store_tile<kColumns>(dq + (head * Lq + first) * Dh + column, Dh, Lq - first, Dh - column, sums,
                       scale);
}

/// A tile of dbias: ds of all samples, in their order.
template <typename T>
__global__ void __launch_bounds__(kThreads)
    attention_backward_bias_kernel(float* dbias, const Saved<T> saved, const Scores<T> scores,
                                   int64_t B) {
  wait_for_earlier_kernel();
  auto& tiles = shared_memory<Tiles<kTile>>();
  const int64_t query = int64_t{blockIdx.x} * kTile, key = int64_t{blockIdx.y} * kTile;
  const int64_t n = blockIdx.z, Lq = scores.Lq, Lk = scores.Lk, Dh = scores.Dh;
  float sums[kEach][kEach] = {};
  for (int64_t b = 0; b < B; ++b) {
    const int64_t head = b * scores.N + n;
    float p[kEach][kEach], ds[kEach][kEach];
    dot_tile(p, tiles, heads_rows(saved.q, head, query, Lq, Dh),
             heads_rows(saved.k, head, key, Lk, Dh), Dh);
    dot_tile(ds, tiles, token_rows(saved.dout, head, query, scores),
             heads_rows(saved.v, head, key, Lk, Dh), Dh);
    differentiate(p, ds, saved, scores, head, query + first_row(), key + first_column(), true);
#pragma unroll
    for (int r = 0; r < kEach; ++r)
#pragma unroll
      for (int c = 0; c < kEach; ++c) sums[r][c] += ds[r][c];
  }
#pragma unroll
  for (int r = 0; r < kEach; ++r)
#pragma unroll
    for (int c = 0; c < kEach; ++c) {
      const int64_t i = query + first_row() + r, j = key + first_column() + c;
      if (i < Lq && j < Lk) dbias[(n * Lq + i) * Lk + j] += sums[r][c];
    }
}

/// Calls f with how many channels of a head a block sums: the whole head if that is 64 or `kMost`.
template <int kMost, typename F>
void visit_columns(int64_t Dh, const F& f) {
  if (Dh <= 64) return f.template operator()<64>();
  if (kMost == 128 || Dh <= 128) return f.template operator()<128>();
  return f.template operator()<kMost>();
}

template <int kColumns>
LaunchConfig tile_config(int64_t tiles, int64_t Dh, Stream& stream) {
  return {.grid = {tiles, ceil_div(Dh, kColumns)},
          .block = kThreads,
          .shared = sizeof(Tiles<kColumns>),
          .stream = stream};
}

}  // namespace

void attention_forward(const AttentionForward& op, Stream& stream) {
  if (attention_forward_sm90(op, stream) || attention_forward_mma(op, stream)) return;
  const auto [B, N, Lq, Dh] = op.q.sizes<4>();
  const int64_t query_tiles = ceil_div(Lq, kTile), tiles = B * N * query_tiles;
  visit_float(op.q.dtype, [&, Dh = Dh]<typename T>() {
    visit_columns<256>(Dh, [&]<int kColumns>() {
      launch(attention_forward_kernel<kColumns, T>, tile_config<kColumns>(tiles, Dh, stream),
             op.out.data<T>(), op.out.dim(2), op.lse.data<float>(), op.q.data<T>(), op.k.data<T>(),
             op.v.data<T>(), scores_of<T>(op), query_tiles);
    });
  });
}

void attention_backward(const AttentionBackward& op, Stream& stream) {
  if (attention_backward_sm90(op, stream)) return;
  const auto [B, N, Lq, Dh] = op.q.sizes<4>();
  const int64_t Lk = op.k.dim(2), rows = B * N * Lq;
  const int64_t query_tiles = ceil_div(Lq, kTile), key_tiles = ceil_div(Lk, kTile);
  float* delta = scratch<float>(stream, rows);
  visit_float(op.q.dtype, [&, B = B, N = N, Lq = Lq, Dh = Dh]<typename T>() {
    launch(attention_backward_delta_kernel<T>,
           {.grid = ceil_div(rows, kThreads / kWarp), .block = kThreads, .stream = stream}, delta,
           op.dout.data<T>(), op.out.data<T>(), op.out.dim(2), rows, N, Lq, Dh);
    const Scores<T> scores = scores_of<T>(op);
    const Saved<T> saved = {.q = op.q.data<T>(),
                            .k = op.k.data<T>(),
                            .v = op.v.data<T>(),
                            .dout = op.dout.data<T>(),
                            .lse = op.lse.data<float>(),
                            .delta = delta};
    if (!attention_backward_mma(op, delta, stream))
      visit_columns<128>(Dh, [&]<int kColumns>() {
        launch(attention_backward_keys_kernel<kColumns, T>,
               tile_config<kColumns>(B * N * key_tiles, Dh, stream), op.dk.data<T>(),
               op.dv.data<T>(), saved, scores, key_tiles);
        launch(attention_backward_queries_kernel<kColumns, T>,
               tile_config<kColumns>(B * N * query_tiles, Dh, stream), op.dq.data<T>(), saved,
               scores, query_tiles);
      });
    if (op.dbias)
      launch(attention_backward_bias_kernel<T>,
             {.grid = {query_tiles, key_tiles, N},
              .block = kThreads,
              .shared = sizeof(Tiles<kTile>),
              .stream = stream},
             op.dbias.data<float>(), saved, scores, B);
  });
}

}  // namespace srpo::cuda
