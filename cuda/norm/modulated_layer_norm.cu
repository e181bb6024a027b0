// Modulated layer norm: y = (1 + scale) * xhat + shift, with xhat = (x - mean) * rstd.
//
//   x, y, dx, dy                  [B, L, D]  T      one normalised row per token
//   scale, shift, dscale, dshift  [B, D]     T      one modulation a sample, shared by its tokens
//   mean, rstd                    [B, L]     float  saved by forward, read by backward
//
// Backward, with g = (1 + scale) * dy and <.> the mean over D:
//   dx     = rstd * (g - <g> - xhat * <g * xhat>)
//   dscale = sum over L of dy * xhat
//   dshift = sum over L of dy
//
// T is float or bfloat16; every sum runs in float.
// Source: FLUX.1 blocks, adaLN (Peebles & Xie 2023, sec. 3.2).

#include "cpp/ops/norm/modulated_layer_norm.h"

#include "cuda/common/block_reduce.cuh"
#include "cuda/common/column_sums.cuh"
#include "cuda/common/launch.cuh"
#include "cuda/common/math.cuh"

namespace srpo::cuda {
namespace {

constexpr int kThreads = 256;  // one block a row: 12 channels a thread at D = 3072

template <typename T>
__global__ void modulated_layer_norm_forward_kernel(T* y, float* mean, float* rstd, const T* x,
                                                    const T* scale, const T* shift, int64_t L,
                                                    int64_t D, float eps) {
  const int64_t row = blockIdx.x, batch = row / L;
  x += row * D;
  y += row * D;
  scale += batch * D;
  shift += batch * D;

  float sum = 0.f;
  for (int64_t d = threadIdx.x; d < D; d += kThreads) sum += float(x[d]);
  const float mu = block_sum(sum) / D;

  // A second pass over x, by now in cache: E[x^2] - mu^2 cancels where |mu| is far above the
  // deviation.
  float squares = 0.f;
  for (int64_t d = threadIdx.x; d < D; d += kThreads) {
    const float centred = float(x[d]) - mu;
    squares += centred * centred;
  }
  const float r = rsqrtf(block_sum(squares) / D + eps);

  for (int64_t d = threadIdx.x; d < D; d += kThreads) {
    const float xhat = (float(x[d]) - mu) * r;
    y[d] = T((1.f + float(scale[d])) * xhat + float(shift[d]));
  }
  if (threadIdx.x == 0) {
    mean[row] = mu;
    rstd[row] = r;
  }
}

template <typename T>
__global__ void modulated_layer_norm_backward_x_kernel(T* dx, const T* dy, const T* x,
                                                       const T* scale, const float* mean,
                                                       const float* rstd, int64_t L, int64_t D) {
  const int64_t row = blockIdx.x, batch = row / L;
  dx += row * D;
  dy += row * D;
  x += row * D;
  scale += batch * D;
  const float mu = mean[row], r = rstd[row];

  Pair sums = {0.f, 0.f};  // of g and g * xhat
  for (int64_t d = threadIdx.x; d < D; d += kThreads) {
    const float g = (1.f + float(scale[d])) * float(dy[d]);
    sums.first += g;
    sums.second += g * (float(x[d]) - mu) * r;
  }
  sums = block_sum(sums);
  const float g_mean = sums.first / D, g_xhat_mean = sums.second / D;

  for (int64_t d = threadIdx.x; d < D; d += kThreads) {
    const float g = (1.f + float(scale[d])) * float(dy[d]);
    const float xhat = (float(x[d]) - mu) * r;
    dx[d] = T(r * (g - g_mean - xhat * g_xhat_mean));
  }
}

template <typename T>
__global__ void modulated_layer_norm_backward_modulation_kernel(T* dscale, T* dshift, const T* dy,
                                                                const T* x, const float* mean,
                                                                const float* rstd, int64_t L,
                                                                int64_t D) {
  column_sums<2>(
      L, D,
      [=](float (&sums)[2], int64_t row, int64_t d) {
        const float g = float(dy[row * D + d]);
        sums[0] += g * (float(x[row * D + d]) - mean[row]) * rstd[row];
        sums[1] += g;
      },
      [=](const float (&sums)[2], int64_t batch, int64_t d) {
        dscale[batch * D + d] = T(sums[0]);
        dshift[batch * D + d] = T(sums[1]);
      });
}

}  // namespace

void modulated_layer_norm_forward(const ModulatedLayerNormForward& op, Stream& stream) {
  const auto [B, L, D] = op.x.sizes<3>();
  visit_float(op.x.dtype, [&, B = B, L = L, D = D]<typename T>() {
    launch(modulated_layer_norm_forward_kernel<T>,
           {.grid = B * L, .block = kThreads, .stream = stream}, op.y.data<T>(),
           op.mean.data<float>(), op.rstd.data<float>(), op.x.data<T>(), op.scale.data<T>(),
           op.shift.data<T>(), L, D, op.eps);
  });
}

void modulated_layer_norm_backward(const ModulatedLayerNormBackward& op, Stream& stream) {
  const auto [B, L, D] = op.x.sizes<3>();
  visit_float(op.x.dtype, [&, B = B, L = L, D = D]<typename T>() {
    launch(modulated_layer_norm_backward_x_kernel<T>,
           {.grid = B * L, .block = kThreads, .stream = stream}, op.dx.data<T>(), op.dy.data<T>(),
           op.x.data<T>(), op.scale.data<T>(), op.mean.data<float>(), op.rstd.data<float>(), L, D);
    launch(modulated_layer_norm_backward_modulation_kernel<T>, column_config<2>(B, D, stream),
           op.dscale.data<T>(), op.dshift.data<T>(), op.dy.data<T>(), op.x.data<T>(),
           op.mean.data<float>(), op.rstd.data<float>(), L, D);
  });
}

}  // namespace srpo::cuda
