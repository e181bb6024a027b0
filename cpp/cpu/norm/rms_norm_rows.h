// The rows of RMS norm, for whatever target the including file has set.
#include "cpp/cpu/norm/rms_norm_kernels.h"
#include "cpp/cpu/norm/sum_of_row.h"
#include "cpp/cpu/vector.h"

namespace {

template <typename T>
void forward_row(T* y, float* rstd, const T* x, const T* w, int64_t D, float eps) {
  const float r = 1.f / __builtin_sqrtf(mean_square_of_row(x, D) + eps);
  if (w)
    for_each_16(D, [&](int64_t d, int64_t n) {
      store_at(y, d, load_at(x, d, n) * r * load_at(w, d, n), n);
    });
  else
    for_each_16(D, [&](int64_t d, int64_t n) { store_at(y, d, load_at(x, d, n) * r, n); });
  *rstd = r;
}

template <typename T, typename G>
SRPO_INLINE void backward_x_of(T* dx, const T* x, float rstd, int64_t D, const G& g_at) {
  f32x16 g_xhat_sum = splat(0.f);
  for_each_16(D, [&](int64_t d, int64_t n) { g_xhat_sum += g_at(d, n) * load_at(x, d, n); });
  const float g_xhat_mean = sum(g_xhat_sum) * rstd / static_cast<float>(D);
  for_each_16(D, [&](int64_t d, int64_t n) {
    const f32x16 xhat = load_at(x, d, n) * rstd;
    store_at(dx, d, rstd * (g_at(d, n) - xhat * g_xhat_mean), n);
  });
}

template <typename T>
void backward_x_row(T* dx, const T* dy, const T* x, const T* w, float rstd, int64_t D) {
  if (w)
    backward_x_of(dx, x, rstd, D,
                  [&](int64_t d, int64_t n) { return load_at(w, d, n) * load_at(dy, d, n); });
  else
    backward_x_of(dx, x, rstd, D, [&](int64_t d, int64_t n) { return load_at(dy, d, n); });
}

template <typename T>
void backward_weight_rows(float* dw, const T* dy, const T* x, const float* rstd, int64_t rows,
                          int64_t D) {
  constexpr int64_t kTile = 64;  // channels whose sums stay in registers over the rows
  int64_t d = 0;
  for (; d + kTile <= D; d += kTile) {
    f32x16 sums[4];
    for (int i = 0; i < 4; ++i) sums[i] = load(dw + d + 16 * i);
    for (int64_t row = 0; row < rows; ++row)
      for (int i = 0; i < 4; ++i) {
        const int64_t at = row * D + d + 16 * i;
        sums[i] += load(dy + at) * (load(x + at) * rstd[row]);
      }
    for (int i = 0; i < 4; ++i) store(dw + d + 16 * i, sums[i]);
  }
  for (int64_t row = 0; row < rows && d < D; ++row)
    for_each_16(D - d, [&](int64_t i, int64_t n) {
      const f32x16 xhat = load_at(x + row * D + d, i, n) * rstd[row];
      const f32x16 g = load_at(dy + row * D + d, i, n);
      store_at(dw + d, i, load_at(dw + d, i, n) + g * xhat, n);
    });
}

}  // namespace

namespace srpo::cpu {

extern const RmsNormTables SRPO_NAMED(rms_norm_) = {
    .f32 = {forward_row<float>, backward_x_row<float>, backward_weight_rows<float>},
    .bf16 = {forward_row<bf16_bits>, backward_x_row<bf16_bits>, backward_weight_rows<bf16_bits>},
};

}  // namespace srpo::cpu
