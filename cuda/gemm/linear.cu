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
#include "cuda/common/column_walk.cuh"
#include "cuda/gemm/gemm.h"

namespace srpo::cuda {
namespace {

/// One pass over dy: dpre, and the sums of each part of a sample's rows for db and dgate, in that order.
/// What is null is not given or not wanted.
template <ActivationKind kind, int N, typename T>
__global__ void linear_backward_rows_kernel(T* dpre, float* parts, const T* dy, const T* pre,
                                            const T* gate, const ColumnWalk walk) {
  wait_for_earlier_kernel();
  constexpr int kRows = 4;
  const int64_t column = walk.column<N>();
  float gates[N], sums[2][N] = {};
  for (int j = 0; j < N; ++j) gates[j] = 1.f;
  if (gate != nullptr && column < walk.C) load_pack(gates, gate + walk.sample() * walk.C + column);
  Pack<T, N> of_dy[kRows], of_pre[kRows];
  walk.for_each_row<N, kRows>(
      [&](int k, int64_t row) {
        of_dy[k] = *reinterpret_cast<const Pack<T, N>*>(dy + row * walk.C + column);
        if (pre != nullptr)
          of_pre[k] = *reinterpret_cast<const Pack<T, N>*>(pre + row * walk.C + column);
      },
      [&](int k, int64_t row) {
        float d[N];
        for (int j = 0; j < N; ++j) {
          const float g = float(of_dy[k].value[j]);
          const float u = pre != nullptr ? float(of_pre[k].value[j]) : 0.f;
          d[j] = g * gates[j];
          if constexpr (kind != ActivationKind::kNone) d[j] *= activation_derivative<kind>(u);
          sums[0][j] += d[j];
          if (gate != nullptr && parts != nullptr) sums[1][j] += g * activate<kind>(u);
        }
        if (dpre != nullptr) store_pack(dpre + row * walk.C + column, d);
      });
  if (parts != nullptr) store_parts(parts, sums, walk);
}

/// db += the first sums of all `count` parts.
__global__ void linear_backward_bias_kernel(float* db, const float* parts, int64_t count,
                                            int64_t N) {
  wait_for_earlier_kernel();
  column_sums<1>(
      count, N,
      [=](float (&sums)[1], int64_t part, int64_t j) { sums[0] += parts[2 * part * N + j]; },
      [=](const float (&sums)[1], int64_t, int64_t j) { db[j] += sums[0]; });
}

/// dgate = the second sums of a sample's `count` parts.
template <typename T>
__global__ void linear_backward_gate_kernel(T* dgate, const float* parts, int64_t count,
                                            int64_t N) {
  wait_for_earlier_kernel();
  column_sums<1>(
      count, N,
      [=](float (&sums)[1], int64_t part, int64_t j) { sums[0] += parts[(2 * part + 1) * N + j]; },
      [=](const float (&sums)[1], int64_t s, int64_t j) { dgate[s * N + j] = T(sums[0]); });
}

/// dpre, db and dgate, as far as they are wanted.
void linear_backward_rows(const LinearBackward& op, Stream& stream) {
  const int64_t M = op.dy.rows(), N = op.w.dim(0), S = op.gate ? op.gate.dim(0) : 1;
  const bool wants_dpre = changes_gradient(op) && (op.dx || op.dw), sums = op.db || op.dgate;
  if (!wants_dpre && !sums) return;
  visit_float(op.x.dtype, [&]<typename T>() {
    const bool packed = packs<T>(op.dy.pointer, N) && packs<T>(op.dpre.pointer) &&
                        packs<T>(op.pre.pointer) && packs<T>(op.gate.pointer);
    visit_pack<T>(packed, [&]<int kN>() {
      const ColumnWalk walk = column_walk<kN>(S, M / S, N);
      float* const parts = sums ? scratch<float>(stream, S * walk.parts * 2 * N) : nullptr;
      visit_activation(op.activation, [&]<ActivationKind kind>() {
        launch(linear_backward_rows_kernel<kind, kN, T>, walk_config<kN, 2>(walk, stream),
               wants_dpre ? op.dpre.data<T>() : nullptr, parts, op.dy.data<T>(), op.pre.data<T>(),
               op.gate.data<T>(), walk);
      });
      if (op.db)
        launch(linear_backward_bias_kernel, column_config<1>(1, N, stream), op.db.data<float>(),
               parts, S * walk.parts, N);
      if (op.dgate)
        launch(linear_backward_gate_kernel<T>, column_config<1>(S, N, stream), op.dgate.data<T>(),
               parts, walk.parts, N);
    });
  });
}

}  // namespace

void linear_forward(const LinearForward& op, Stream& stream) {
  gemm(forward_product(op), stream);
}

void linear_backward(const LinearBackward& op, Stream& stream) {
  linear_backward_rows(op, stream);
  if (op.dx) gemm(input_gradient_product(op), stream);
  if (op.dw) gemm(weight_gradient_product(op), stream);
}

void linear_pair_forward(const LinearPairForward& op, Stream& stream) {
  gemm_pair(forward_product(op.first), forward_product(op.second), stream);
}

void linear_pair_backward(const LinearPairBackward& op, Stream& stream) {
  const auto both = [&](bool of_first, bool of_second, Gemm (*product)(const LinearBackward&)) {
    if (of_first && of_second) return gemm_pair(product(op.first), product(op.second), stream);
    if (of_first) gemm(product(op.first), stream);
    if (of_second) gemm(product(op.second), stream);
  };
  linear_backward_rows(op.first, stream);
  linear_backward_rows(op.second, stream);
  both(bool(op.first.dx), bool(op.second.dx), input_gradient_product);
  both(bool(op.first.dw), bool(op.second.dw), weight_gradient_product);
}

}  // namespace srpo::cuda
