// Layer norm: y = xhat * w + b, with xhat = (x - mean) * rstd.
//
//   x, y, dx, dy   [rows, D]  T
//   w, b           [D]        T      optional
//   dw, db         [D]        float  added to
//   mean, rstd     [rows]     float  saved by forward, read by backward
//
// Backward, with g = w * dy and <.> the mean over D:
//   dx = rstd * (g - <g> - xhat * <g * xhat>)
//   dw = sum over rows of dy * xhat
//   db = sum over rows of dy
//
// T is float or bfloat16; every sum runs in float.
// Source: Ba, Kiros & Hinton 2016, arXiv:1607.06450.

#include "cpp/ops/norm/layer_norm.h"

#include "cuda/common/column_sums.cuh"
#include "cuda/norm/row.cuh"

namespace srpo::cuda {
namespace {

template <int N, typename T>
__global__ void layer_norm_forward_kernel(T* y, float* mean, float* rstd, const T* x, const T* w,
                                          const T* b, int64_t D, float eps) {
  const int64_t row = blockIdx.x;
  x += row * D;
  y += row * D;

  float sum = 0.f;
  for_each_pack<N>(D, [&](int64_t d) {
    float v[N];
    load_pack(v, x + d);
    for (float value : v) sum += value;
  });
  const float mu = block_sum(sum) / D;

  float squares = 0.f;  // E[x^2] - mu^2 would cancel where |mu| is far above the deviation
  for_each_pack<N>(D, [&](int64_t d) {
    float v[N];
    load_pack(v, x + d);
    for (float value : v) squares += (value - mu) * (value - mu);
  });
  const float r = rsqrtf(block_sum(squares) / D + eps);

  for_each_pack<N>(D, [&](int64_t d) {
    float v[N], scale[N], shift[N] = {};
    load_pack(v, x + d);
    load_or_one(scale, w, d);
    if (b != nullptr) load_pack(shift, b + d);
    for (int j = 0; j < N; ++j) v[j] = (v[j] - mu) * r * scale[j] + shift[j];
    store_pack(y + d, v);
  });
  if (threadIdx.x == 0) {
    mean[row] = mu;
    rstd[row] = r;
  }
}

template <int N, typename T>
__global__ void layer_norm_backward_x_kernel(T* dx, const T* dy, const T* x, const T* w,
                                             const float* mean, const float* rstd, int64_t D) {
  const int64_t row = blockIdx.x;
  dx += row * D;
  dy += row * D;
  x += row * D;
  const float mu = mean[row], r = rstd[row];
  const auto load = [=](float (&g)[N], float (&xhat)[N], int64_t d) {
    float scale[N];
    load_pack(g, dy + d);
    load_pack(xhat, x + d);
    load_or_one(scale, w, d);
    for (int j = 0; j < N; ++j) {
      g[j] *= scale[j];
      xhat[j] = (xhat[j] - mu) * r;
    }
  };

  Pair sums = {0.f, 0.f};  // of g and g * xhat
  for_each_pack<N>(D, [&](int64_t d) {
    float g[N], xhat[N];
    load(g, xhat, d);
    for (int j = 0; j < N; ++j) {
      sums.first += g[j];
      sums.second += g[j] * xhat[j];
    }
  });
  sums = block_sum(sums);
  const float g_mean = sums.first / D, g_xhat_mean = sums.second / D;

  for_each_pack<N>(D, [&](int64_t d) {
    float g[N], xhat[N];
    load(g, xhat, d);
    for (int j = 0; j < N; ++j) g[j] = r * (g[j] - g_mean - xhat[j] * g_xhat_mean);
    store_pack(dx + d, g);
  });
}

/// Sums of dy * xhat and of dy over the rows of each part.
template <int N, typename T>
__global__ void layer_norm_backward_parts_kernel(float* parts, const T* dy, const T* x,
                                                 const float* mean, const float* rstd,
                                                 const ColumnWalk walk) {
  float sums[2][N] = {};
  const int64_t column = walk.column<N>();
  walk.for_each_row<N>([&](int64_t row) {
    float g[N], v[N];
    load_pack(g, dy + row * walk.C + column);
    load_pack(v, x + row * walk.C + column);
    for (int j = 0; j < N; ++j) {
      sums[0][j] += g[j] * (v[j] - mean[row]) * rstd[row];
      sums[1][j] += g[j];
    }
  });
  store_parts(parts, sums, walk);
}

__global__ void layer_norm_add_parts_kernel(float* dw, float* db, const float* parts, int64_t count,
                                            int64_t D) {
  column_sums<1>(
      count, 2 * D,
      [=](float (&sums)[1], int64_t part, int64_t d) { sums[0] += parts[part * 2 * D + d]; },
      [=](const float (&sums)[1], int64_t, int64_t d) {
        float* const to = d < D ? dw : db;
        if (to != nullptr) to[d % D] += sums[0];
      });
}

}  // namespace

void layer_norm_forward(const LayerNormForward& op, Stream& stream) {
  const int64_t rows = op.x.rows(), D = op.x.dim(-1);
  visit_float(op.x.dtype, [&]<typename T>() {
    const bool packed = packs<T>(op.x.pointer, D) && packs<T>(op.y.pointer) &&
                        packs<T>(op.w.pointer) && packs<T>(op.b.pointer);
    visit_pack<T>(packed, [&]<int N>() {
      launch(layer_norm_forward_kernel<N, T>, row_config<N>(rows, D, stream), op.y.data<T>(),
             op.mean.data<float>(), op.rstd.data<float>(), op.x.data<T>(), op.w.data<T>(),
             op.b.data<T>(), D, op.eps);
    });
  });
}

void layer_norm_backward(const LayerNormBackward& op, Stream& stream) {
  const int64_t rows = op.x.rows(), D = op.x.dim(-1);
  visit_float(op.x.dtype, [&]<typename T>() {
    const bool packed = packs<T>(op.x.pointer, D) && packs<T>(op.dy.pointer) &&
                        packs<T>(op.dx.pointer) && packs<T>(op.w.pointer);
    visit_pack<T>(packed, [&]<int N>() {
      if (op.dx)
        launch(layer_norm_backward_x_kernel<N, T>, row_config<N>(rows, D, stream), op.dx.data<T>(),
               op.dy.data<T>(), op.x.data<T>(), op.w.data<T>(), op.mean.data<float>(),
               op.rstd.data<float>(), D);
      if (!op.dw && !op.db) return;
      const ColumnWalk walk = column_walk<N>(1, rows, D);
      float* const parts = scratch<float>(stream, walk.parts * 2 * D);
      launch(layer_norm_backward_parts_kernel<N, T>, walk_config<N, 2>(walk, stream), parts,
             op.dy.data<T>(), op.x.data<T>(), op.mean.data<float>(), op.rstd.data<float>(), walk);
      launch(layer_norm_add_parts_kernel, column_config<1>(1, 2 * D, stream), op.dw.data<float>(),
             op.db.data<float>(), parts, walk.parts, D);
    });
  });
}

}  // namespace srpo::cuda
