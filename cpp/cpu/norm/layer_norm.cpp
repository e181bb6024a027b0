// Layer norm: y = xhat * w + b, with xhat = (x - mean) * rstd.
//
//   x, y, dx, dy   [rows, D]  T
//   w, b           [D]        T      optional
//   dw, db         [D]        float  added to
//   mean, rstd     [rows]     float  saved by forward, read by backward
//
// Backward, with g = w * dy and <.> the mean over D:
//   dx = rstd * (g - <g> - xhat * <g * xhat>)
//   dw = sum over rows of dy * xhat
//   db = sum over rows of dy
//
// T is float or bfloat16; every sum runs in float.

#include "cpp/ops/norm/layer_norm.h"

#include "cpp/cpu/isa.h"
#include "cpp/cpu/norm/layer_norm_kernels.h"
#include "cpp/cpu/parallel.h"
#include "cpp/cpu/row_sums.h"
#include "cpp/cpu/visit.h"

namespace srpo::cpu {
namespace {

template <typename T>
const auto& kernels() {
  static const auto& best = best_of(layer_norm_generic, layer_norm_avx2, layer_norm_avx512);
  if constexpr (sizeof(T) == 4)
    return best.f32;
  else
    return best.bf16;
}

template <typename T>
void forward(const LayerNormForward& op) {
  const int64_t rows = op.x.rows(), D = op.x.dim(-1);
  const T *x = op.x.data<T>(), *w = op.w.data<T>(), *b = op.b.data<T>();
  parallel_ranges(rows, rows_of_range(D), [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row)
      kernels<T>().forward(op.y.data<T>() + row * D, op.mean.data<float>() + row,
                           op.rstd.data<float>() + row, x + row * D, w, b, D, op.eps);
  });
}

template <typename T>
void backward(const LayerNormBackward& op) {
  const int64_t rows = op.x.rows(), D = op.x.dim(-1);
  const T *dy = op.dy.data<T>(), *x = op.x.data<T>(), *w = op.w.data<T>();
  const float *mean = op.mean.data<float>(), *rstd = op.rstd.data<float>();
  const auto backward_x = [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; op.dx && row < end; ++row)
      kernels<T>().backward_x(op.dx.data<T>() + row * D, dy + row * D, x + row * D, w, mean[row],
                              rstd[row], D);
  };
  if (!op.dw && !op.db) return parallel_ranges(rows, rows_of_range(D), backward_x);

  const auto sums = sum_rows(1, rows, 2 * D, [&](float* part, int64_t first, int64_t count) {
    for (int64_t row = first, end = first + count; row < end; row += kRowsInCache) {
      const int64_t n = std::min(kRowsInCache, end - row);
      backward_x(row, row + n);
      kernels<T>().backward_parameters(part, part + D, dy + row * D, x + row * D, mean + row,
                                       rstd + row, n, D);
    }
  });
  if (op.dw) add_to(op.dw.data<float>(), sums.data(), D);
  if (op.db) add_to(op.db.data<float>(), sums.data() + D, D);
}

}  // namespace

void layer_norm_forward(const LayerNormForward& op, Stream&) {
  visit_bits(op.x.dtype, [&]<typename T>() { forward<T>(op); });
}

void layer_norm_backward(const LayerNormBackward& op, Stream&) {
  visit_bits(op.x.dtype, [&]<typename T>() { backward<T>(op); });
}

}  // namespace srpo::cpu
