// Gated residual: out = x + gate * y.
//
//   out, x, y, dy, dout  [B, L, D]  T
//   gate, dgate          [B, D]     T  one gate a sample, shared by its tokens
//
// Backward: dy = gate * dout; dgate = sum over L of dout * y, in float, in fixed parts.

#include "cpp/ops/elementwise/gated_residual.h"

#include "cpp/cpu/elementwise/map.h"
#include "cpp/cpu/parallel.h"
#include "cpp/cpu/row_sums.h"
#include "cpp/cpu/visit.h"

namespace srpo::cpu {
namespace {

template <typename T>
void forward(const GatedResidualForward& op) {
  const auto [B, L, D] = op.x.sizes<3>();
  parallel_ranges(B * L, rows_of_range(D), [&, L = L, D = D](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row)
      map_kernels<T>().gated_residual(op.out.data<T>() + row * D, op.x.data<T>() + row * D,
                                      op.gate.data<T>() + row / L * D, op.y.data<T>() + row * D, D);
  });
}

template <typename T>
void backward(const GatedResidualBackward& op) {
  const auto [B, L, D] = op.y.sizes<3>();
  const T* dout = op.dout.data<T>();
  if (op.dy)
    parallel_ranges(B * L, rows_of_range(D), [&, L = L, D = D](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; ++row)
        map_kernels<T>().mul(op.dy.data<T>() + row * D, dout + row * D,
                             op.gate.data<T>() + row / L * D, D);
    });
  if (!op.dgate) return;
  const auto sums = sum_rows(B, L, D, [&, D = D](float* part, int64_t first, int64_t count) {
    for (int64_t row = first; row < first + count; ++row)
      map_kernels<T>().add_product(part, dout + row * D, op.y.data<T>() + row * D, D);
  });
  write(op.dgate.data<T>(), sums.data(), B * D);
}

}  // namespace

void gated_residual_forward(const GatedResidualForward& op, Stream&) {
  visit_bits(op.x.dtype, [&]<typename T>() { forward<T>(op); });
}

void gated_residual_backward(const GatedResidualBackward& op, Stream&) {
  visit_bits(op.y.dtype, [&]<typename T>() { backward<T>(op); });
}

}  // namespace srpo::cpu
