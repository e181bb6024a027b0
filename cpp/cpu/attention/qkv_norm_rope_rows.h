// One head of qkv norm rope, for whatever target the including file has set.
#include "cpp/cpu/attention/qkv_norm_rope_kernels.h"
#include "cpp/cpu/vector.h"

namespace {

/// (x1, x0, x3, x2, ...)
SRPO_INLINE f32x16 swap_pairs(f32x16 x) {
  return __builtin_shuffle(x, i32x16{1, 0, 3, 2, 5, 4, 7, 6, 9, 8, 11, 10, 13, 12, 15, 14});
}

template <typename T>
float forward_head(T* y, const T* x, const T* scale, const float* turn_cos, const float* turn_sin,
                   int64_t Dh, float eps) {
  float rstd = 1.f;
  if (scale != nullptr) {
    f32x16 squares = splat(0.f);
    for_each_16(Dh, [&](int64_t d, int64_t n) {
      const f32x16 v = load_at(x, d, n);
      squares += v * v;
    });
    rstd = 1.f / __builtin_sqrtf(sum(squares) / static_cast<float>(Dh) + eps);
  }
  for_each_16(Dh, [&](int64_t d, int64_t n) {
    f32x16 v = load_at(x, d, n);
    if (scale != nullptr) v = v * rstd * load_at(scale, d, n);
    if (turn_cos != nullptr)
      v = v * load_at(turn_cos, d, n) + swap_pairs(v) * load_at(turn_sin, d, n);
    store_at(y, d, v, n);
  });
  return rstd;
}

template <typename T>
void backward_head(T* dx, float* dscale, const T* dy, const T* x, const T* scale, float rstd,
                   const float* turn_cos, const float* turn_sin, int64_t Dh, float* work) {
  f32x16 product = splat(0.f);
  for_each_16(Dh, [&](int64_t d, int64_t n) {
    f32x16 g = load_at(dy, d, n);
    if (turn_cos != nullptr)  // back by the same angle
      g = g * load_at(turn_cos, d, n) - swap_pairs(g) * load_at(turn_sin, d, n);
    if (scale == nullptr) {
      store_at(dx, d, g, n);
      return;
    }
    const f32x16 xhat = load_at(x, d, n) * rstd;
    if (dscale != nullptr) store_at(dscale, d, load_at(dscale, d, n) + g * xhat, n);
    g = g * load_at(scale, d, n);
    product += g * xhat;
    store(work + d, g);
  });
  if (scale == nullptr) return;
  const float mean = sum(product) / static_cast<float>(Dh);
  for_each_16(Dh, [&](int64_t d, int64_t n) {
    const f32x16 xhat = load_at(x, d, n) * rstd;
    store_at(dx, d, rstd * (load(work + d) - xhat * mean), n);
  });
}

}  // namespace

namespace srpo::cpu {

extern const QkvNormRopeTables SRPO_NAMED(qkv_norm_rope_) = {
    .f32 = {forward_head<float>, backward_head<float>},
    .bf16 = {forward_head<bf16_bits>, backward_head<bf16_bits>},
};

}  // namespace srpo::cpu
