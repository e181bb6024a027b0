// AdamW on a flat range, t = step - skipped, all in float32:
//   g = clip * grad
//   w = w (1 - lr decay)
//   m = m + (1 - beta1) (g - m),   v = beta2 v + (1 - beta2) g^2
//   w = w - lr / (1 - beta1^t) * m / (sqrt(v) / sqrt(1 - beta2^t) + eps)

#include "cpp/ops/update/adamw_step.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "cpp/cpu/isa.h"
#include "cpp/cpu/parallel.h"
#include "cpp/cpu/random/random_fill_kernels.h"
#include "cpp/cpu/update/adamw_step_kernels.h"
#include "cpp/cpu/visit.h"
#include "cpp/ops/update/clip.h"

namespace srpo::cpu {
namespace {

/// base^n by squaring, in the same order on every device.
double power(double base, int64_t n) {
  double result = 1;
  for (; n > 0; n >>= 1, base *= base)
    if (n & 1) result *= base;
  return result;
}

/// Calls f(first, count, random halves) on runs of [begin, end), each with the draws of 16 counters at
/// most: those of 128 elements.
template <typename F>
void with_random_halves(const AdamwStep& op, int64_t begin, int64_t end, const F& f) {
  static const RandomFillKernels& best =
      best_of(random_fill_generic, random_fill_avx2, random_fill_avx512);
  constexpr int64_t kDrawn = 128;
  const StochasticRounding& rounding = *op.rounding;
  const RandomKey key = {
      .seed = {static_cast<uint32_t>(rounding.seed), static_cast<uint32_t>(rounding.seed >> 32)},
      .purpose = rounding.purpose,
      .step = static_cast<uint32_t>(op.step),
      .sample = 0};
  uint32_t words[kDrawn / 2];
  uint16_t halves[kDrawn];
  for (int64_t at = begin; at < end;) {
    const int64_t element = rounding.offset + at, into = element % kDrawn;
    const int64_t count = std::min(kDrawn - into, end - at);
    best.bits(words, key, static_cast<uint32_t>((element - into) / 8));
    std::memcpy(halves, words, sizeof halves);  // little-endian: the lower half first
    f(at, count, halves + into);
    at += count;
  }
}

AdamwNumbers numbers_of(const AdamwStep& op) {
  const float clip =
      op.grad_norm && op.max_norm > 0 ? clip_factor(*op.grad_norm.data<float>(), op.max_norm) : 1.f;
  const int64_t t = op.step - (op.skipped ? *op.skipped.data<int32_t>() : 0);
  return {
      .clip = clip,
      .decay = static_cast<float>(1 - op.lr * op.weight_decay),
      .beta1_rest = static_cast<float>(1 - op.beta1),
      .beta2 = static_cast<float>(op.beta2),
      .beta2_rest = static_cast<float>(1 - op.beta2),
      .step_size = static_cast<float>(op.lr / (1 - power(op.beta1, t))),
      .root = static_cast<float>(std::sqrt(1 - power(op.beta2, t))),
      .eps = static_cast<float>(op.eps),
  };
}

}  // namespace

void adamw_step(const AdamwStep& op, Stream&) {
  if (op.grad_norm && !std::isfinite(*op.grad_norm.data<float>())) return;
  const AdamwTables& tables = best_of(adamw_generic, adamw_avx2, adamw_avx512);
  const AdamwNumbers numbers = numbers_of(op);
  visit_bits(op.grad.dtype, [&]<typename G>() {
    const AdamwKernels<G>& kernels = [&]() -> const auto& {
      if constexpr (sizeof(G) == 4)
        return tables.f32;
      else
        return tables.bf16;
    }();
    float *m = op.m.data<float>(), *v = op.v.data<float>();
    const G* grad = op.grad.data<G>();
    parallel_ranges(op.weights.numel(), 16384, [&](int64_t begin, int64_t end) {
      const int64_t n = end - begin;
      if (op.weights.dtype == DType::kFloat32)
        kernels.full(op.weights.data<float>() + begin, m + begin, v + begin, grad + begin, n,
                     numbers);
      else if (op.rounding)
        with_random_halves(op, begin, end, [&](int64_t at, int64_t count, const uint16_t* random) {
          kernels.rounded(op.weights.data<uint16_t>() + at, random, m + at, v + at, grad + at,
                          count, numbers);
        });
      else
        kernels.halves(op.weights.data<uint16_t>() + begin, op.remainder.data<uint16_t>() + begin,
                       m + begin, v + begin, grad + begin, n, numbers);
    });
  });
}

}  // namespace srpo::cpu
