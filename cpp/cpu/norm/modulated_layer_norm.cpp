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

#include "cpp/ops/norm/modulated_layer_norm.h"

#include "cpp/cpu/isa.h"
#include "cpp/cpu/norm/modulated_layer_norm_kernels.h"
#include "cpp/cpu/parallel.h"
#include "cpp/cpu/row_sums.h"
#include "cpp/cpu/visit.h"

namespace srpo::cpu {
namespace {

const ModulatedLayerNormTables& tables() {
  static const auto& best =
      best_of(modulated_layer_norm_generic, modulated_layer_norm_avx2, modulated_layer_norm_avx512);
  return best;
}

template <typename T>
const auto& kernels() {
  if constexpr (sizeof(T) == 4)
    return tables().f32;
  else
    return tables().bf16;
}

template <typename T>
void forward(const ModulatedLayerNormForward& op) {
  const auto [B, L, D] = op.x.sizes<3>();
  const T *x = op.x.data<T>(), *scale = op.scale.data<T>(), *shift = op.shift.data<T>();
  parallel_ranges(B * L, rows_of_range(D), [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      const int64_t batch = row / L;
      kernels<T>().forward(op.y.data<T>() + row * D, op.mean.data<float>() + row,
                           op.rstd.data<float>() + row, x + row * D, scale + batch * D,
                           shift + batch * D, D, op.eps);
    }
  });
}

template <typename T>
void backward(const ModulatedLayerNormBackward& op) {
  const int64_t B = op.x.dim(0), L = op.x.dim(1), D = op.x.dim(2);
  const T *dy = op.dy.data<T>(), *x = op.x.data<T>(), *scale = op.scale.data<T>();
  const float *mean = op.mean.data<float>(), *rstd = op.rstd.data<float>();
  const auto sums = sum_rows(B, L, 2 * D, [&](float* part, int64_t first, int64_t count) {
    for (int64_t begin = first, end = first + count; begin < end; begin += kRowsInCache) {
      const int64_t n = std::min(kRowsInCache, end - begin);
      for (int64_t row = begin; row < begin + n; ++row)
        kernels<T>().backward_x(op.dx.data<T>() + row * D, dy + row * D, x + row * D,
                                scale + row / L * D, mean[row], rstd[row], D);
      kernels<T>().backward_modulation(part, part + D, dy + begin * D, x + begin * D, mean + begin,
                                       rstd + begin, n, D);
    }
  });
  for (int64_t b = 0; b < B; ++b) {
    write(op.dscale.data<T>() + b * D, sums.data() + b * 2 * D, D);
    write(op.dshift.data<T>() + b * D, sums.data() + b * 2 * D + D, D);
  }
}

}  // namespace

void modulated_layer_norm_forward(const ModulatedLayerNormForward& op, Stream&) {
  visit_bits(op.x.dtype, [&]<typename T>() { forward<T>(op); });
}

void modulated_layer_norm_backward(const ModulatedLayerNormBackward& op, Stream&) {
  visit_bits(op.x.dtype, [&]<typename T>() { backward<T>(op); });
}

}  // namespace srpo::cpu
