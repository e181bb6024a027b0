// The rows of modulated layer norm, for whatever target the including file has set.
#include "cpp/cpu/norm/modulated_layer_norm_kernels.h"
#include "cpp/cpu/norm/sum_of_row.h"
#include "cpp/cpu/vector.h"

namespace {

template <typename T>
void forward_row(T* y, float* mean, float* rstd, const T* x, const T* scale, const T* shift,
                 int64_t D, float eps) {
  const float mu = mean_of_row(x, D);
  const float r = 1.f / __builtin_sqrtf(variance_of_row(x, mu, D) + eps);

  for_each_16(D, [&](int64_t i, int64_t n) {
    const f32x16 xhat = (load_at(x, i, n) - mu) * r;
    store_at(y, i, (1.f + load_at(scale, i, n)) * xhat + load_at(shift, i, n), n);
  });
  *mean = mu;
  *rstd = r;
}

template <typename T>
void backward_x_row(T* dx, const T* dy, const T* x, const T* scale, float mean, float rstd,
                    int64_t D) {
  f32x16 g_sum = splat(0.f), g_xhat_sum = splat(0.f);
  for_each_16(D, [&](int64_t d, int64_t n) {
    const f32x16 g = (1.f + load_at(scale, d, n)) * load_at(dy, d, n);  // 0 past the end
    g_sum += g;
    g_xhat_sum += g * ((load_at(x, d, n) - mean) * rstd);
  });
  const float g_mean = sum(g_sum) / static_cast<float>(D);
  const float g_xhat_mean = sum(g_xhat_sum) / static_cast<float>(D);
  for_each_16(D, [&](int64_t d, int64_t n) {
    const f32x16 g = (1.f + load_at(scale, d, n)) * load_at(dy, d, n);
    const f32x16 xhat = (load_at(x, d, n) - mean) * rstd;
    store_at(dx, d, rstd * (g - g_mean - xhat * g_xhat_mean), n);
  });
}

template <typename T>
void backward_modulation_rows(float* dscale, float* dshift, const T* dy, const T* x,
                              const float* mean, const float* rstd, int64_t rows, int64_t D) {
  constexpr int64_t kTile = 64;  // channels whose sums stay in registers over the rows
  int64_t d = 0;
  for (; d + kTile <= D; d += kTile) {
    f32x16 scale_sums[4], shift_sums[4];
    for (int i = 0; i < 4; ++i) {
      scale_sums[i] = load(dscale + d + 16 * i);
      shift_sums[i] = load(dshift + d + 16 * i);
    }
    for (int64_t row = 0; row < rows; ++row) {
      const float mu = mean[row], r = rstd[row];
      for (int i = 0; i < 4; ++i) {
        const f32x16 g = load(dy + row * D + d + 16 * i);
        scale_sums[i] += g * ((load(x + row * D + d + 16 * i) - mu) * r);
        shift_sums[i] += g;
      }
    }
    for (int i = 0; i < 4; ++i) {
      store(dscale + d + 16 * i, scale_sums[i]);
      store(dshift + d + 16 * i, shift_sums[i]);
    }
  }
  for (int64_t row = 0; row < rows && d < D; ++row) {
    const float mu = mean[row], r = rstd[row];
    for_each_16(D - d, [&](int64_t i, int64_t n) {
      const f32x16 g = load_at(dy + row * D + d, i, n);
      const f32x16 xhat = (load_at(x + row * D + d, i, n) - mu) * r;
      store_at(dscale + d, i, load_at(dscale + d, i, n) + g * xhat, n);
      store_at(dshift + d, i, load_at(dshift + d, i, n) + g, n);
    });
  }
}

}  // namespace

namespace srpo::cpu {

extern const ModulatedLayerNormTables SRPO_NAMED(modulated_layer_norm_) = {
    .f32 = {forward_row<float>, backward_x_row<float>, backward_modulation_rows<float>},
    .bf16 = {forward_row<bf16_bits>, backward_x_row<bf16_bits>,
             backward_modulation_rows<bf16_bits>},
};

}  // namespace srpo::cpu
