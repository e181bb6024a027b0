// Gated residual: out = x + gate * y.
//
//   out, x, y, dy, dout  [B, L, D]  T
//   gate, dgate          [B, D]     T  one gate a sample, shared by its tokens
//
// Backward: dy = gate * dout; dgate = sum over L of dout * y. T is float or bfloat16; every sum runs in
// float.

#include "cpp/ops/elementwise/gated_residual.h"

#include "cuda/common/column_sums.cuh"
#include "cuda/elementwise/map.cuh"

namespace srpo::cuda {
namespace {

/// out = x + gate * y, or gate * y where x is not given.
template <typename T>
__global__ void gated_residual_forward_kernel(T* out, const T* x, const T* gate, const T* y,
                                              int64_t L, int64_t D, int64_t n) {
  map<kPack<T>>(n, false, [=]<int N>(int64_t i) {
    const float gated = float(gate[i / (L * D) * D + i % D]) * float(y[i]);
    out[i] = T(x == nullptr ? gated : float(x[i]) + gated);
  });
}

template <typename T>
__global__ void gated_residual_backward_gate_kernel(T* dgate, const T* dout, const T* y, int64_t L,
                                                    int64_t D) {
  column_sums<1>(
      L, D,
      [=](float (&sums)[1], int64_t row, int64_t d) {
        sums[0] += float(dout[row * D + d]) * float(y[row * D + d]);
      },
      [=](const float (&sums)[1], int64_t b, int64_t d) { dgate[b * D + d] = T(sums[0]); });
}

}  // namespace

void gated_residual_forward(const GatedResidualForward& op, Stream& stream) {
  const auto [B, L, D] = op.x.sizes<3>();
  visit_float(op.x.dtype, [&, L = L, D = D]<typename T>() {
    launch(gated_residual_forward_kernel<T>, map_config<kPack<T>>(op.x.numel(), stream),
           op.out.data<T>(), op.x.data<T>(), op.gate.data<T>(), op.y.data<T>(), L, D, op.x.numel());
  });
}

void gated_residual_backward(const GatedResidualBackward& op, Stream& stream) {
  const auto [B, L, D] = op.y.sizes<3>();
  visit_float(op.y.dtype, [&, B = B, L = L, D = D]<typename T>() {
    const T* none = nullptr;
    if (op.dy)
      launch(gated_residual_forward_kernel<T>, map_config<kPack<T>>(op.y.numel(), stream),
             op.dy.data<T>(), none, op.gate.data<T>(), op.dout.data<T>(), L, D, op.y.numel());
    if (op.dgate)
      launch(gated_residual_backward_gate_kernel<T>, column_config<1>(B, D, stream),
             op.dgate.data<T>(), op.dout.data<T>(), op.y.data<T>(), L, D);
  });
}

}  // namespace srpo::cuda
