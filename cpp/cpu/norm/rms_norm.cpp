// RMS norm: y = xhat * w, with xhat = x * rstd, rstd = 1 / sqrt(<x^2> + eps).
//
//   x, y, dx, dy  [rows, D]  T
//   w             [D]        T      optional
//   dw            [D]        float  added to
//   rstd          [rows]     float  saved by forward, read by backward
//
// Backward, with g = w * dy and <.> the mean over D:
//   dx = rstd * (g - xhat * <g * xhat>)
//   dw = sum over rows of dy * xhat
//
// T is float or bfloat16; every sum runs in float.

#include "cpp/ops/norm/rms_norm.h"

#include "cpp/cpu/isa.h"
#include "cpp/cpu/norm/rms_norm_kernels.h"
#include "cpp/cpu/parallel.h"
#include "cpp/cpu/row_sums.h"
#include "cpp/cpu/visit.h"

namespace srpo::cpu {
namespace {

template <typename T>
const auto& kernels() {
  static const auto& best = best_of(rms_norm_generic, rms_norm_avx2, rms_norm_avx512);
  if constexpr (sizeof(T) == 4)
    return best.f32;
  else
    return best.bf16;
}

template <typename T>
void forward(const RmsNormForward& op) {
  const int64_t rows = op.x.rows(), D = op.x.dim(-1);
  parallel_ranges(rows, rows_of_range(D), [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row)
      kernels<T>().forward(op.y.data<T>() + row * D, op.rstd.data<float>() + row,
                           op.x.data<T>() + row * D, op.w.data<T>(), D, op.eps);
  });
}

template <typename T>
void backward(const RmsNormBackward& op) {
  const int64_t rows = op.x.rows(), D = op.x.dim(-1);
  const T *dy = op.dy.data<T>(), *x = op.x.data<T>(), *w = op.w.data<T>();
  const float* rstd = op.rstd.data<float>();
  const auto backward_x = [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; op.dx && row < end; ++row)
      kernels<T>().backward_x(op.dx.data<T>() + row * D, dy + row * D, x + row * D, w, rstd[row],
                              D);
  };
  if (!op.dw) return parallel_ranges(rows, rows_of_range(D), backward_x);

  const auto sums = sum_rows(1, rows, D, [&](float* part, int64_t first, int64_t count) {
    for (int64_t row = first, end = first + count; row < end; row += kRowsInCache) {
      const int64_t n = std::min(kRowsInCache, end - row);
      backward_x(row, row + n);
      kernels<T>().backward_weight(part, dy + row * D, x + row * D, rstd + row, n, D);
    }
  });
  add_to(op.dw.data<float>(), sums.data(), D);
}

}  // namespace

void rms_norm_forward(const RmsNormForward& op, Stream&) {
  visit_bits(op.x.dtype, [&]<typename T>() { forward<T>(op); });
}

void rms_norm_backward(const RmsNormBackward& op, Stream&) {
  visit_bits(op.x.dtype, [&]<typename T>() { backward<T>(op); });
}

}  // namespace srpo::cpu
