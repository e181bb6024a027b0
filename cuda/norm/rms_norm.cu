// RMS norm: y = xhat * w, with xhat = x * rstd.
//
//   x, y, dx, dy   [rows, D]  T
//   w              [D]        T      optional
//   dw             [D]        float  added to
//   rstd           [rows]     float  1 / sqrt(<x^2> + eps), saved by forward, read by backward
//
// Backward, with g = w * dy and <.> the mean over D:
//   dx = rstd * (g - xhat * <g * xhat>)
//   dw = sum over rows of dy * xhat
//
// T is float or bfloat16; every sum runs in float.
// Source: Zhang & Sennrich 2019, arXiv:1910.07467.

#include "cpp/ops/norm/rms_norm.h"

#include "cuda/common/column_sums.cuh"
#include "cuda/norm/row.cuh"

namespace srpo::cuda {
namespace {

template <int N, typename T>
__global__ void rms_norm_forward_kernel(T* y, float* rstd, const T* x, const T* w, int64_t D,
                                        float eps) {
  const int64_t row = blockIdx.x;
  x += row * D;
  y += row * D;

  float squares = 0.f;
  for_each_pack<N>(D, [&](int64_t d) {
    float v[N];
    load_pack(v, x + d);
    for (float value : v) squares += value * value;
  });
  const float r = rsqrtf(block_sum(squares) / D + eps);

  for_each_pack<N>(D, [&](int64_t d) {
    float v[N], scale[N];
    load_pack(v, x + d);
    load_or_one(scale, w, d);
    for (int j = 0; j < N; ++j) v[j] *= r * scale[j];
    store_pack(y + d, v);
  });
  if (threadIdx.x == 0) rstd[row] = r;
}

template <int N, typename T>
__global__ void rms_norm_backward_x_kernel(T* dx, const T* dy, const T* x, const T* w,
                                           const float* rstd, int64_t D) {
  const int64_t row = blockIdx.x;
  dx += row * D;
  dy += row * D;
  x += row * D;
  const float r = rstd[row];
  const auto load = [=](float (&g)[N], float (&xhat)[N], int64_t d) {
    float scale[N];
    load_pack(g, dy + d);
    load_pack(xhat, x + d);
    load_or_one(scale, w, d);
    for (int j = 0; j < N; ++j) {
      g[j] *= scale[j];
      xhat[j] *= r;
    }
  };

  float sum = 0.f;
  for_each_pack<N>(D, [&](int64_t d) {
    float g[N], xhat[N];
    load(g, xhat, d);
    for (int j = 0; j < N; ++j) sum += g[j] * xhat[j];
  });
  const float g_xhat_mean = block_sum(sum) / D;

  for_each_pack<N>(D, [&](int64_t d) {
    float g[N], xhat[N];
    load(g, xhat, d);
    for (int j = 0; j < N; ++j) g[j] = r * (g[j] - xhat[j] * g_xhat_mean);
    store_pack(dx + d, g);
  });
}

/// Sums of dy * xhat over the rows of each part.
template <int N, typename T>
__global__ void rms_norm_backward_parts_kernel(float* parts, const T* dy, const T* x,
                                               const float* rstd, const ColumnWalk walk) {
  float sums[1][N] = {};
  const int64_t column = walk.column<N>();
  walk.for_each_row<N>([&](int64_t row) {
    float g[N], v[N];
    load_pack(g, dy + row * walk.C + column);
    load_pack(v, x + row * walk.C + column);
    for (int j = 0; j < N; ++j) sums[0][j] += g[j] * v[j] * rstd[row];
  });
  store_parts(parts, sums, walk);
}

__global__ void rms_norm_add_parts_kernel(float* dw, const float* parts, int64_t count, int64_t D) {
  column_sums<1>(
      count, D, [=](float (&sums)[1], int64_t part, int64_t d) { sums[0] += parts[part * D + d]; },
      [=](const float (&sums)[1], int64_t, int64_t d) { dw[d] += sums[0]; });
}

}  // namespace

void rms_norm_forward(const RmsNormForward& op, Stream& stream) {
  const int64_t rows = op.x.rows(), D = op.x.dim(-1);
  visit_float(op.x.dtype, [&]<typename T>() {
    const bool packed =
        packs<T>(op.x.pointer, D) && packs<T>(op.y.pointer) && packs<T>(op.w.pointer);
    visit_pack<T>(packed, [&]<int N>() {
      launch(rms_norm_forward_kernel<N, T>, row_config<N>(rows, D, stream), op.y.data<T>(),
             op.rstd.data<float>(), op.x.data<T>(), op.w.data<T>(), D, op.eps);
    });
  });
}

void rms_norm_backward(const RmsNormBackward& op, Stream& stream) {
  const int64_t rows = op.x.rows(), D = op.x.dim(-1);
  visit_float(op.x.dtype, [&]<typename T>() {
    const bool packed = packs<T>(op.x.pointer, D) && packs<T>(op.dy.pointer) &&
                        packs<T>(op.dx.pointer) && packs<T>(op.w.pointer);
    visit_pack<T>(packed, [&]<int N>() {
      if (op.dx)
        launch(rms_norm_backward_x_kernel<N, T>, row_config<N>(rows, D, stream), op.dx.data<T>(),
               op.dy.data<T>(), op.x.data<T>(), op.w.data<T>(), op.rstd.data<float>(), D);
      if (!op.dw) return;
      const ColumnWalk walk = column_walk<N>(1, rows, D);
      float* const parts = scratch<float>(stream, walk.parts * D);
      launch(rms_norm_backward_parts_kernel<N, T>, walk_config<N, 1>(walk, stream), parts,
             op.dy.data<T>(), op.x.data<T>(), op.rstd.data<float>(), walk);
      launch(rms_norm_add_parts_kernel, column_config<1>(1, D, stream), op.dw.data<float>(), parts,
             walk.parts, D);
    });
  });
}

}  // namespace srpo::cuda
