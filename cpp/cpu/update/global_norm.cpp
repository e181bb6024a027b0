// norm = sqrt(sum of grad^2), in double over fixed blocks, so that no square of a float overflows and
// the bits do not depend on threads.

#include "cpp/ops/update/global_norm.h"

#include <cmath>
#include <vector>

#include "cpp/cpu/reduce.h"
#include "cpp/cpu/visit.h"

namespace srpo::cpu {

namespace {

template <typename T>
double squares_of(const T* grad, int64_t n) {
  return sum_of_blocks(n, [&](int64_t begin, int64_t count) {
    return reduce_kernels<T>().squares(grad + begin, count);
  });
}

/// Those that are known, and those of the ranges.
template <typename T>
double known_squares(const GlobalNorm& op) {
  const float* known = op.squares.data<float>();
  double squares = sum_of_blocks(op.squares.numel(), [&](int64_t begin, int64_t count) {
    return reduce_kernels<float>().sum(known + begin, count);
  });
  for (size_t i = 0; i < op.ranges.size(); i += 2)
    squares += squares_of(op.grad.data<T>() + op.ranges[i], op.ranges[i + 1]);
  return squares;
}

}  // namespace

void global_norm(const GlobalNorm& op, Stream&) {
  visit_bits(op.grad.dtype, [&]<typename T>() {
    double squares = op.squares ? known_squares<T>(op) : 0;
    const bool trusted = squares > kLeastTrusted && squares < kMostTrusted;  // nor is it NaN
    if (!trusted) squares = squares_of(op.grad.data<T>(), op.grad.numel());
    *op.norm.data<float>() = static_cast<float>(std::sqrt(squares));
  });
}

void factored_norm(const FactoredNorm& op, Stream&) {
  const int64_t R = op.dy.dim(0), N = op.dy.dim(1), K = op.x.dim(1);
  std::vector<double> rows(static_cast<size_t>(R));
  visit_bits(op.dy.dtype, [&]<typename T>() {
    const T *dy = op.dy.data<T>(), *x = op.x.data<T>();
    const auto dot = [](const T* a, const T* b, int64_t n) {
      double sum = 0;
      for (int64_t i = 0; i < n; ++i) sum += double{read(a[i])} * double{read(b[i])};
      return sum;
    };
    parallel_blocks(R, [&](int64_t a) {
      double sum = 0;
      for (int64_t b = 0; b <= a; ++b)
        sum += (a == b ? 1 : 2) * dot(dy + a * N, dy + b * N, N) * dot(x + a * K, x + b * K, K);
      rows[static_cast<size_t>(a)] = sum;
    });
  });
  double squares = 0;
  for (const double row : rows) squares += row;
  *op.norm.data<float>() = static_cast<float>(std::sqrt(squares < 0 ? 0 : squares));
}

void count_non_finite(const CountNonFinite& op, Stream&) {
  if (!std::isfinite(*op.norm.data<float>())) ++*op.counter.data<int32_t>();
}

}  // namespace srpo::cpu
