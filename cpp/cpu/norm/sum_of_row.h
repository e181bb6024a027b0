// Sums over a row for the norms, for whatever target the including file has set.
#pragma once
#include "cpp/cpu/vector.h"

namespace {

/// The sum over [0, n) of what f(offset) gives for sixteen neighbours and tail(offset, count) for the
/// last few, with 0 past the end. Four sums run side by side: one alone would wait for each addition.
template <typename F, typename Tail>
SRPO_INLINE float sum_of_row(int64_t n, const F& f, const Tail& tail) {
  f32x16 a = splat(0.f), b = splat(0.f), c = splat(0.f), d = splat(0.f);
  int64_t i = 0;
  for (; i + 64 <= n; i += 64) {
    a += f(i);
    b += f(i + 16);
    c += f(i + 32);
    d += f(i + 48);
  }
  for (; i + 16 <= n; i += 16) a += f(i);
  if (i < n) b += tail(i, n - i);
  return sum((a + b) + (c + d));
}

template <typename T>
SRPO_INLINE float mean_of_row(const T* x, int64_t D) {
  return sum_of_row(
             D, [&](int64_t i) { return load(x + i); },
             [&](int64_t i, int64_t n) { return load_some(x + i, n); }) /
         static_cast<float>(D);
}

/// <(x - mean)^2>. A second pass over x, by now in cache: <x^2> - mean^2 cancels where |mean| is far
/// above the deviation.
template <typename T>
SRPO_INLINE float variance_of_row(const T* x, float mean, int64_t D) {
  const auto squared = [](f32x16 v) { return v * v; };
  return sum_of_row(
             D, [&](int64_t i) { return squared(load(x + i) - mean); },
             [&](int64_t i, int64_t n) {
               float rest[16];
               store(rest, load_some(x + i, n) - mean);
               return squared(load_some(rest, n));
             }) /
         static_cast<float>(D);
}

/// <x^2>
template <typename T>
SRPO_INLINE float mean_square_of_row(const T* x, int64_t D) {
  return sum_of_row(
             D, [&](int64_t i) { return load(x + i) * load(x + i); },
             [&](int64_t i, int64_t n) { return load_some(x + i, n) * load_some(x + i, n); }) /
         static_cast<float>(D);
}

}  // namespace
