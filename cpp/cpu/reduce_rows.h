// Sums over runs of numbers, for whatever target the including file has set.
#pragma GCC optimize("fp-contract=off")

#include "cpp/cpu/reduce_kernels.h"
#include "cpp/cpu/vector.h"

namespace {

using f32x8 = float __attribute__((vector_size(32)));
using f64x8 = double __attribute__((vector_size(64)));

/// Sixteen sums in double.
struct Sums {
  f64x8 low = {}, high = {};

  SRPO_INLINE void add(f64x8 a, f64x8 b) {
    low += a;
    high += b;
  }
  SRPO_INLINE double total() const {
    double a[16];
    std::memcpy(a, &low, sizeof low);
    std::memcpy(a + 8, &high, sizeof high);
    for (int step = 8; step > 0; step /= 2)
      for (int i = 0; i < step; ++i) a[i] += a[i + step];
    return a[0];
  }
};

struct Wide {
  f64x8 low, high;
};
SRPO_INLINE Wide widen(f32x16 v) {
  f32x8 half[2];
  std::memcpy(half, &v, sizeof v);
  return {__builtin_convertvector(half[0], f64x8), __builtin_convertvector(half[1], f64x8)};
}

template <typename T>
double sum_of(const T* x, int64_t n) {
  Sums sums;
  for_each_16(n, [&](int64_t i, int64_t count) {
    const Wide v = widen(load_at(x, i, count));
    sums.add(v.low, v.high);
  });
  return sums.total();
}

template <typename T>
double dot(const T* a, const T* b, int64_t n) {
  Sums sums;
  for_each_16(n, [&](int64_t i, int64_t count) {
    const Wide v = widen(load_at(a, i, count)), w = widen(load_at(b, i, count));
    sums.add(v.low * w.low, v.high * w.high);
  });
  return sums.total();
}

template <typename T>
double squares(const T* x, int64_t n) {
  return dot(x, x, n);
}

template <typename T>
double squared_distance(const T* a, const T* b, int64_t n) {
  Sums sums;
  for_each_16(n, [&](int64_t i, int64_t count) {
    const Wide v = widen(load_at(a, i, count)), w = widen(load_at(b, i, count));
    const f64x8 low = v.low - w.low, high = v.high - w.high;
    sums.add(low * low, high * high);
  });
  return sums.total();
}

template <typename T>
void scaled_difference(T* out, const T* a, const T* b, float factor, int64_t n) {
  for_each_16(n, [&](int64_t i, int64_t count) {
    store_at(out, i, factor * (load_at(a, i, count) - load_at(b, i, count)), count);
  });
}

template <typename T>
void add_scaled(float* y, const T* x, float factor, int64_t n) {
  for_each_16(n, [&](int64_t i, int64_t count) {
    store_at(y, i, load_at(y, i, count) + factor * load_at(x, i, count), count);
  });
}

template <typename T>
constexpr srpo::cpu::ReduceKernels<T> kernels = {
    .sum = sum_of<T>,
    .squares = squares<T>,
    .squared_distance = squared_distance<T>,
    .dot = dot<T>,
    .scaled_difference = scaled_difference<T>,
    .add_scaled = add_scaled<T>,
};

}  // namespace

namespace srpo::cpu {

extern const ReduceTables SRPO_NAMED(reduce_) = {
    .f32 = kernels<float>,
    .bf16 = kernels<bf16_bits>,
};

}  // namespace srpo::cpu
