// Alone in its header: what is compiled for a wider instruction set includes it and must not emit more.
#pragma once
#include <cstdint>

#include "cpp/ops/activation_kind.h"

namespace srpo {

/// The blocks of a matrix of which the squares of what it holds are summed up.
constexpr int kSquareRows = 16, kSquareColumns = 64;

/// What becomes of a matrix product's sums, all in float until the last rounding:
///   pre = sums + bias,   y = activation(pre),   out = residual + gate * y
/// or out += sums, or out = sums * activation'(derivative_of).
/// out, residual and derivative_of are row-major with `stride` elements a row, pre with `pre_stride`; all
/// are of out's dtype. Null: not given. Every pointer is that of batch 0; those four move on by
/// `batch_stride`.
struct GemmOutput {
  void* out = nullptr;
  int64_t stride = 0;
  int64_t batch_stride = 0;
  bool accumulate = false;  // adds to out, and does nothing else but the squares
  float* squares =
      nullptr;  // [ceil(M / kSquareRows), ceil(N / kSquareColumns)], of what out then has
  const void* bias = nullptr;  // [N]
  ActivationKind activation = ActivationKind::kNone;
  void* pre = nullptr;  // out: what the activation was given
  int64_t pre_stride = 0;
  const void* residual = nullptr;
  const void* gate = nullptr;  // [rows / rows_of_sample, N]
  int64_t rows_of_sample = 1;
  const void* derivative_of = nullptr;  // does this, and nothing else
  /// Where given, takes the first columns, `before_columns` of them and as many a row: their sums and no
  /// more. Column 0 of all others is then the one behind them. Of one batch.
  void* before = nullptr;
  int64_t before_columns = 0;
};

}  // namespace srpo
