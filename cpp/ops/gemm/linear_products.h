// Which matrix products linear and its gradients are, for every device.
#pragma once
#include "cpp/ops/gemm/gemm.h"
#include "cpp/ops/gemm/linear.h"

namespace srpo {

/// y = residual + gate * activation(x w^T + b)
inline Gemm forward_product(const LinearForward& op) {
  const int64_t M = op.x.rows(), N = op.w.dim(0), K = op.w.dim(1), width = op.y.dim(-1);
  const int64_t first = (width - N) * static_cast<int64_t>(size_of(op.y.dtype));
  return {
      .M = M,
      .N = N,
      .K = K,
      .dtype = op.x.dtype,
      .output_dtype = op.y.dtype,
      .a = {.data = op.x.pointer, .row_stride = K, .column_stride = 1},
      .b = {.data = op.w.pointer, .row_stride = 1, .column_stride = K},
      .output = {.out = op.y.data<char>() + first,
                 .stride = width,
                 .bias = op.b.pointer,
                 .activation = op.activation,
                 .pre = op.pre.pointer,
                 .pre_stride = N,
                 .residual = op.residual.pointer,
                 .gate = op.gate.pointer,
                 .rows_of_sample = op.gate ? M / op.gate.dim(0) : M},
  };
}

/// The gradient of x w^T + b differs from dy: it has to be computed, into op.dpre.
inline bool changes_gradient(const LinearBackward& op) {
  return op.activation != ActivationKind::kNone || op.gate;
}
inline const void* gradient_of_pre(const LinearBackward& op) {
  return changes_gradient(op) ? op.dpre.pointer : op.dy.pointer;
}

/// dx = dpre w, or that times the slope of the activation that made x; behind dx_before
inline Gemm input_gradient_product(const LinearBackward& op) {
  const int64_t N = op.w.dim(0), K = op.w.dim(1);
  const bool slopes = op.input_activation != ActivationKind::kNone;
  return {
      .M = op.dy.rows(),
      .N = K,
      .K = N,
      .dtype = op.x.dtype,
      .output_dtype = op.x.dtype,
      .a = {.data = gradient_of_pre(op), .row_stride = N, .column_stride = 1},
      .b = {.data = op.w.pointer, .row_stride = K, .column_stride = 1},
      .output = {.out = op.dx.pointer,
                 .stride = op.dx.dim(-1),
                 .activation = op.input_activation,
                 .derivative_of = slopes ? op.input_pre.pointer : nullptr,
                 .before = op.dx_before.pointer,
                 .before_columns = op.dx_before ? op.dx_before.dim(-1) : 0},
  };
}

/// dw += dpre^T x
inline Gemm weight_gradient_product(const LinearBackward& op) {
  const int64_t N = op.w.dim(0), K = op.w.dim(1);
  return {
      .M = N,
      .N = K,
      .K = op.dy.rows(),
      .dtype = op.x.dtype,
      .output_dtype = op.dw.dtype,
      .a = {.data = gradient_of_pre(op), .row_stride = 1, .column_stride = N},
      .b = {.data = op.x.pointer, .row_stride = K, .column_stride = 1},
      .output = {.out = op.dw.pointer,
                 .stride = K,
                 .accumulate = true,
                 .squares = static_cast<float*>(op.squares.pointer)},
  };
}

}  // namespace srpo
