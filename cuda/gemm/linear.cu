// Linear: pre = x w^T + b, a = activation(pre), y = residual + gate * a.
//
//   x, dx                     [M, K]  T       M rows, S samples of M / S
//   y, pre, residual, dy      [M, N]  T
//   w, b, gate                [N, K], [N], [S, N]  T
//
// Backward, with dpre = dy * gate * activation'(pre), in T:
//   dx     = dpre w
//   dw    += dpre^T x                             float, or bfloat16 as x
//   db    += sum over all rows of dpre            float
//   dgate  = sum over a sample's rows of dy * a
//
// T is float or bfloat16; every sum runs in float, the epilogue on sums that were not yet rounded.

#include "cpp/ops/gemm/linear.h"

#include "cpp/ops/gemm/linear_products.h"
#include "cuda/common/activation.cuh"
#include "cuda/common/column_sums.cuh"
#include "cuda/elementwise/map.cuh"
#include "cuda/gemm/gemm.h"

namespace srpo::cuda {
namespace {

/// dpre of element i in float, before it is rounded to T.
template <ActivationKind kind, typename T>
SRPO_DEVICE float dpre_of(const T* dy, const T* pre, const T* gate, int64_t i, int64_t sample,
                          int64_t column, int64_t N) {
  float d = float(dy[i]);
  if (gate != nullptr) d *= float(gate[sample * N + column]);
  if constexpr (kind != ActivationKind::kNone) d *= activation_derivative<kind>(float(pre[i]));
  return d;
}

template <ActivationKind kind, typename T>
__global__ void linear_backward_pre_kernel(T* dpre, const T* dy, const T* pre, const T* gate,
                                           int64_t rows_of_sample, int64_t N, int64_t n) {
  map<1>(n, false, [=]<int>(int64_t i) {
    dpre[i] = T(dpre_of<kind>(dy, pre, gate, i, i / N / rows_of_sample, i % N, N));
  });
}

/// db of all rows, in one sample of M rows.
template <ActivationKind kind, typename T>
__global__ void linear_backward_bias_kernel(float* db, const T* dy, const T* pre, const T* gate,
                                            int64_t rows_of_sample, int64_t M, int64_t N) {
  column_sums<1>(
      M, N,
      [=](float (&sums)[1], int64_t row, int64_t j) {
        sums[0] += dpre_of<kind>(dy, pre, gate, row * N + j, row / rows_of_sample, j, N);
      },
      [=](const float (&sums)[1], int64_t, int64_t j) { db[j] += sums[0]; });
}

template <ActivationKind kind, typename T>
__global__ void linear_backward_gate_kernel(T* dgate, const T* dy, const T* pre,
                                            int64_t rows_of_sample, int64_t N) {
  column_sums<1>(
      rows_of_sample, N,
      [=](float (&sums)[1], int64_t row, int64_t j) {
        sums[0] += float(dy[row * N + j]) * activate<kind>(float(pre[row * N + j]));
      },
      [=](const float (&sums)[1], int64_t s, int64_t j) { dgate[s * N + j] = T(sums[0]); });
}

}  // namespace

void linear_forward(const LinearForward& op, Stream& stream) {
  gemm(forward_product(op), stream);
}

void linear_backward(const LinearBackward& op, Stream& stream) {
  const int64_t M = op.dy.rows(), N = op.w.dim(0);
  const int64_t S = op.gate ? op.gate.dim(0) : 1;
  visit_float(op.x.dtype, [&]<typename T>() {
    visit_activation(op.activation, [&]<ActivationKind kind>() {
      if (changes_gradient(op) && (op.dx || op.dw))
        launch(linear_backward_pre_kernel<kind, T>, map_config<1>(M * N, stream), op.dpre.data<T>(),
               op.dy.data<T>(), op.pre.data<T>(), op.gate.data<T>(), M / S, N, M * N);
      if (op.db)
        launch(linear_backward_bias_kernel<kind, T>, column_config<1>(1, N, stream),
               op.db.data<float>(), op.dy.data<T>(), op.pre.data<T>(), op.gate.data<T>(), M / S, M,
               N);
      if (op.dgate)
        launch(linear_backward_gate_kernel<kind, T>, column_config<1>(S, N, stream),
               op.dgate.data<T>(), op.dy.data<T>(), op.pre.data<T>(), M / S, N);
    });
  });
  if (op.dx) gemm(input_gradient_product(op), stream);
  if (op.dw) gemm(weight_gradient_product(op), stream);
}

}  // namespace srpo::cuda
