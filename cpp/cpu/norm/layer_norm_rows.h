// The rows of layer norm, for whatever target the including file has set.
#include "cpp/cpu/norm/layer_norm_kernels.h"
#include "cpp/cpu/norm/sum_of_row.h"
#include "cpp/cpu/vector.h"

namespace {

template <typename T>
void forward_row(T* y, float* mean, float* rstd, const T* x, const T* w, const T* b, int64_t D,
                 float eps) {
  const float mu = mean_of_row(x, D);
  const float r = 1.f / __builtin_sqrtf(variance_of_row(x, mu, D) + eps);

  const auto write = [&](auto weighted) {
    for_each_16(D, [&](int64_t i, int64_t n) {
      store_at(y, i, weighted((load_at(x, i, n) - mu) * r, i, n), n);
    });
  };
  if (w && b)
    write([&](f32x16 v, int64_t i, int64_t n) { return v * load_at(w, i, n) + load_at(b, i, n); });
  else if (w)
    write([&](f32x16 v, int64_t i, int64_t n) { return v * load_at(w, i, n); });
  else if (b)
    write([&](f32x16 v, int64_t i, int64_t n) { return v + load_at(b, i, n); });
  else
    write([](f32x16 v, int64_t, int64_t) { return v; });
  *mean = mu;
  *rstd = r;
}

template <typename T, typename G>
SRPO_INLINE void backward_x_of(T* dx, const T* x, float mean, float rstd, int64_t D,
                               const G& g_at) {
  f32x16 g_sum = splat(0.f), g_xhat_sum = splat(0.f);
  for_each_16(D, [&](int64_t d, int64_t n) {
    const f32x16 g = g_at(d, n);  // 0 past the end
    g_sum += g;
    g_xhat_sum += g * ((load_at(x, d, n) - mean) * rstd);
  });
  const float g_mean = sum(g_sum) / static_cast<float>(D);
  const float g_xhat_mean = sum(g_xhat_sum) / static_cast<float>(D);
  for_each_16(D, [&](int64_t d, int64_t n) {
    const f32x16 xhat = (load_at(x, d, n) - mean) * rstd;
    store_at(dx, d, rstd * (g_at(d, n) - g_mean - xhat * g_xhat_mean), n);
  });
}

template <typename T>
void backward_x_row(T* dx, const T* dy, const T* x, const T* w, float mean, float rstd, int64_t D) {
  if (w)
    backward_x_of(dx, x, mean, rstd, D,
                  [&](int64_t d, int64_t n) { return load_at(w, d, n) * load_at(dy, d, n); });
  else
    backward_x_of(dx, x, mean, rstd, D, [&](int64_t d, int64_t n) { return load_at(dy, d, n); });
}

template <typename T>
void backward_parameters_rows(float* dw, float* db, const T* dy, const T* x, const float* mean,
                              const float* rstd, int64_t rows, int64_t D) {
  constexpr int64_t kTile = 64;  // channels whose sums stay in registers over the rows
  int64_t d = 0;
  for (; d + kTile <= D; d += kTile) {
    f32x16 w_sums[4], b_sums[4];
    for (int i = 0; i < 4; ++i) {
      w_sums[i] = load(dw + d + 16 * i);
      b_sums[i] = load(db + d + 16 * i);
    }
    for (int64_t row = 0; row < rows; ++row) {
      const float mu = mean[row], r = rstd[row];
      for (int i = 0; i < 4; ++i) {
        const f32x16 g = load(dy + row * D + d + 16 * i);
        w_sums[i] += g * ((load(x + row * D + d + 16 * i) - mu) * r);
        b_sums[i] += g;
      }
    }
    for (int i = 0; i < 4; ++i) {
      store(dw + d + 16 * i, w_sums[i]);
      store(db + d + 16 * i, b_sums[i]);
    }
  }
  for (int64_t row = 0; row < rows && d < D; ++row) {
    const float mu = mean[row], r = rstd[row];
    for_each_16(D - d, [&](int64_t i, int64_t n) {
      const f32x16 g = load_at(dy + row * D + d, i, n);
      const f32x16 xhat = (load_at(x + row * D + d, i, n) - mu) * r;
      store_at(dw + d, i, load_at(dw + d, i, n) + g * xhat, n);
      store_at(db + d, i, load_at(db + d, i, n) + g, n);
    });
  }
}

}  // namespace

namespace srpo::cpu {

extern const LayerNormTables SRPO_NAMED(layer_norm_) = {
    .f32 = {forward_row<float>, backward_x_row<float>, backward_parameters_rows<float>},
    .bf16 = {forward_row<bf16_bits>, backward_x_row<bf16_bits>,
             backward_parameters_rows<bf16_bits>},
};

}  // namespace srpo::cpu
