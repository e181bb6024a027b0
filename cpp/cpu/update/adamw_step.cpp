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
#include "cpp/ops/update/clip.h"
#include "cpp/ops/update/moments.h"

namespace srpo::cpu {
namespace {

/// base^n by squaring, in the same order on every device.
double power(double base, int64_t n) {
  double result = 1;
  for (; n > 0; n >>= 1, base *= base)
    if (n & 1) result *= base;
  return result;
}

constexpr int64_t kDrawn = 128;  // elements of 16 counters, which are drawn at once
constexpr int64_t kPiece = kMomentBlock;

/// Random halves of [element, element + n) of all parameters, n at most kPiece: into `halves`, from where
/// it returns the first.
const uint16_t* draw(uint16_t (&halves)[kPiece + kDrawn], const StochasticRounding& rounding,
                     int64_t step, uint32_t sample, int64_t first, int64_t n) {
  static const RandomFillKernels& best =
      best_of(random_fill_generic, random_fill_avx2, random_fill_avx512);
  const RandomKey key = {
      .seed = {static_cast<uint32_t>(rounding.seed), static_cast<uint32_t>(rounding.seed >> 32)},
      .purpose = rounding.purpose,
      .step = static_cast<uint32_t>(step),
      .sample = sample};
  const int64_t element = rounding.offset + first, into = element % kDrawn;
  for (int64_t at = 0; at < into + n; at += kDrawn) {
    uint32_t words[kDrawn / 2];
    best.bits(words, key, static_cast<uint32_t>((element - into + at) / 8));
    std::memcpy(halves + at, words, sizeof words);  // little-endian: the lower half first
  }
  return halves + into;
}

/// The gradient of [begin, begin + n) from its factors.
void expand(float* out, const AdamwTables& tables, const Factors& factors, int64_t begin,
            int64_t n) {
  const int64_t N = factors.dy.dim(1), K = factors.x.dim(1);
  const auto bytes = static_cast<int64_t>(size_of(factors.dy.dtype));
  const auto expand_row = tables.factored[factors.dy.dtype == DType::kBFloat16];
  for (int64_t at = factors.first + begin, end = at + n; at < end;) {
    const int64_t row = at / K, column = at % K, count = std::min(K - column, end - at);
    expand_row(out, factors.dy.data<char>() + row * bytes, N,
               factors.x.data<char>() + column * bytes, K, factors.dy.dim(0), count);
    out += count;
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
  const WeightForm weights = op.weights.dtype == DType::kFloat32 ? kFullWeights
                             : op.rounding                       ? kRoundedWeights
                                                                 : kSplitWeights;
  const MomentForm moments = op.m.dtype == DType::kFloat32    ? kFloatMoments
                             : op.m.dtype == DType::kBFloat16 ? kHalfMoments
                                                              : kByteMoments;
  const bool factored = !op.grad;
  const AdamwKernel kernel =
      tables.step[weights][moments][!factored && op.grad.dtype == DType::kBFloat16];
  const auto at = [](const TensorView& t, int64_t i) {
    return t.data<uint8_t>() + i * static_cast<int64_t>(size_of(t.dtype));
  };
  const auto run = [&](int64_t begin, int64_t n) {
    uint16_t for_w[kPiece + kDrawn], for_m[kPiece + kDrawn], for_v[kPiece + kDrawn];
    float grad[kPiece];
    if (factored) expand(grad, tables, op.factors, begin, n);
    AdamwRun run = {.w = at(op.weights, begin),
                    .m = at(op.m, begin),
                    .v = at(op.v, begin),
                    .grad = factored ? grad : static_cast<const void*>(at(op.grad, begin)),
                    .n = n};
    if (op.remainder) run.remainder = op.remainder.data<uint16_t>() + begin;
    if (moments == kByteMoments) {
      run.m_scale = op.m_scale.data<uint8_t>() + begin / kMomentBlock;
      run.v_scale = op.v_scale.data<uint8_t>() + begin / kMomentBlock;
    }
    if (op.rounding) run.random_w = draw(for_w, *op.rounding, op.step, 0, begin, n);
    if (op.moment_rounding) {
      run.random_m = draw(for_m, *op.moment_rounding, op.step, 0, begin, n);
      run.random_v = draw(for_v, *op.moment_rounding, op.step, 1, begin, n);
    }
    kernel(run, numbers);
  };
  parallel_ranges(op.weights.numel(), 16384, [&](int64_t begin, int64_t end) {
    const bool pieces = op.rounding || op.moment_rounding || factored;
    const int64_t piece = pieces ? kPiece : end - begin;
    for (int64_t first = begin; first < end; first += piece)
      run(first, std::min(piece, end - first));
  });
}

}  // namespace srpo::cpu
