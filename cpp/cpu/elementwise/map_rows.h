// The elementwise ops, for whatever target the including file has set. A functor an op; one loop a
// number of operands.
#include "cpp/cpu/activation.h"
#include "cpp/cpu/elementwise/map_kernels.h"
#include "cpp/cpu/vector.h"

namespace {

using Kind = srpo::ActivationKind;

template <Kind kind>
struct Activation {
  SRPO_INLINE static f32x16 of(f32x16 x, float, float) { return activate<kind>(x); }
  SRPO_INLINE static f32x16 derivative(f32x16 dy, f32x16 x, float, float) {
    return dy * activation_derivative<kind>(x);
  }
};

struct Relu {  // NaN stays NaN
  SRPO_INLINE static f32x16 of(f32x16 x, float, float) { return x <= 0.f ? splat(0.f) : x; }
  SRPO_INLINE static f32x16 derivative(f32x16 dy, f32x16 x, float, float) {
    return x <= 0.f ? splat(0.f) : dy;
  }
};

struct Exp {
  SRPO_INLINE static f32x16 of(f32x16 x, float, float) { return exponential(x); }
  SRPO_INLINE static f32x16 derivative(f32x16 dy, f32x16 x, float, float) {
    return dy * exponential(x);
  }
};

struct Clamp {  // NaN stays NaN, and has no gradient
  SRPO_INLINE static f32x16 of(f32x16 x, float lo, float hi) {
    x = x < lo ? splat(lo) : x;
    return x > hi ? splat(hi) : x;
  }
  SRPO_INLINE static f32x16 derivative(f32x16 dy, f32x16 x, float lo, float hi) {
    dy = x >= lo ? dy : splat(0.f);
    return x <= hi ? dy : splat(0.f);
  }
};

struct Affine {
  SRPO_INLINE static f32x16 of(f32x16 x, float a, float b) { return a * x + b; }
};

struct Sub {
  SRPO_INLINE static f32x16 of(f32x16 a, f32x16 b) { return a - b; }
};

struct Mul {
  SRPO_INLINE static f32x16 of(f32x16 a, f32x16 b) { return a * b; }
};

template <typename Op, typename T>
void unary(T* y, const T* x, int64_t n, float a, float b) {
  for_each_16(n, [&](int64_t i, int64_t count) {
    store_at(y, i, Op::of(load_at(x, i, count), a, b), count);
  });
}

template <typename Op, typename T>
void unary_backward(T* dx, const T* dy, const T* x, int64_t n, float a, float b) {
  for_each_16(n, [&](int64_t i, int64_t count) {
    store_at(dx, i, Op::derivative(load_at(dy, i, count), load_at(x, i, count), a, b), count);
  });
}

template <typename Op, typename T>
void binary(T* y, const T* a, const T* b, int64_t n) {
  for_each_16(n, [&](int64_t i, int64_t count) {
    store_at(y, i, Op::of(load_at(a, i, count), load_at(b, i, count)), count);
  });
}

template <typename T>
void gated_residual(T* out, const T* x, const T* gate, const T* y, int64_t n) {
  for_each_16(n, [&](int64_t i, int64_t count) {
    const f32x16 gated = load_at(gate, i, count) * load_at(y, i, count);
    store_at(out, i, load_at(x, i, count) + gated, count);
  });
}

template <typename T>
void add_product(float* sums, const T* a, const T* b, int64_t n) {
  for_each_16(n, [&](int64_t i, int64_t count) {
    const f32x16 product = load_at(a, i, count) * load_at(b, i, count);
    store_at(sums, i, load_at(sums, i, count) + product, count);
  });
}

template <typename Out, typename X, typename Y>
void combine(void* out, const void* x, const void* y, int64_t n, float cx, float cy) {
  for_each_16(n, [&](int64_t i, int64_t count) {
    const f32x16 a = load_at(static_cast<const X*>(x), i, count);
    const f32x16 b = load_at(static_cast<const Y*>(y), i, count);
    store_at(static_cast<Out*>(out), i, cx * a + cy * b, count);
  });
}

template <typename Out, typename X>
void scaled(void* out, const void* x, const void*, int64_t n, float cx, float) {
  for_each_16(n, [&](int64_t i, int64_t count) {
    store_at(static_cast<Out*>(out), i, cx * load_at(static_cast<const X*>(x), i, count), count);
  });
}

template <typename T>
constexpr srpo::cpu::MapKernels<T> all_maps() {
  using Silu = Activation<Kind::kSilu>;
  using GeluTanh = Activation<Kind::kGeluTanh>;
  using GeluErf = Activation<Kind::kGeluErf>;
  using QuickGelu = Activation<Kind::kQuickGelu>;
  return {
      .silu = unary<Silu, T>,
      .gelu_tanh = unary<GeluTanh, T>,
      .gelu_erf = unary<GeluErf, T>,
      .quick_gelu = unary<QuickGelu, T>,
      .relu = unary<Relu, T>,
      .exp = unary<Exp, T>,
      .clamp = unary<Clamp, T>,
      .affine = unary<Affine, T>,
      .silu_backward = unary_backward<Silu, T>,
      .gelu_tanh_backward = unary_backward<GeluTanh, T>,
      .gelu_erf_backward = unary_backward<GeluErf, T>,
      .quick_gelu_backward = unary_backward<QuickGelu, T>,
      .relu_backward = unary_backward<Relu, T>,
      .exp_backward = unary_backward<Exp, T>,
      .clamp_backward = unary_backward<Clamp, T>,
      .sub = binary<Sub, T>,
      .mul = binary<Mul, T>,
      .gated_residual = gated_residual<T>,
      .add_product = add_product<T>,
  };
}

}  // namespace

namespace srpo::cpu {

extern const MapTables SRPO_NAMED(map_) = {
    .f32 = all_maps<float>(),
    .bf16 = all_maps<bf16_bits>(),
    .combine = {{{combine<float, float, float>, combine<float, float, bf16_bits>},
                 {combine<float, bf16_bits, float>, combine<float, bf16_bits, bf16_bits>}},
                {{combine<bf16_bits, float, float>, combine<bf16_bits, float, bf16_bits>},
                 {combine<bf16_bits, bf16_bits, float>, combine<bf16_bits, bf16_bits, bf16_bits>}}},
    .scaled = {{scaled<float, float>, scaled<float, bf16_bits>},
               {scaled<bf16_bits, float>, scaled<bf16_bits, bf16_bits>}},
};

}  // namespace srpo::cpu
