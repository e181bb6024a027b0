#pragma once
#include "cpp/core/stream.h"
#include "cpp/core/tensor_view.h"

namespace srpo {

/// norm = ||grad||, the root of the sum of all squares; not finite exactly if an element is not, or
/// if the norm is beyond float32.
struct GlobalNorm {
  TensorView norm;  // [1]  float  out
  TensorView grad;  // flat, any shape
};

void global_norm(const GlobalNorm& op, Stream& stream);

/// norm = ||dy^T x||, of a matrix that is kept as a sum of R outer products, without the matrix:
///   ||dy^T x||^2 = sum over a, b of (dy_a . dy_b) (x_a . x_b)
struct FactoredNorm {
  TensorView norm;  // [1]     float  out
  TensorView dy;    // [R, N]
  TensorView x;     // [R, K]  of dy's dtype
};

void factored_norm(const FactoredNorm& op, Stream& stream);

/// counter += 1 if the norm is not finite: how many updates were skipped. Runs once an update, before
/// the ranges that make it up.
struct CountNonFinite {
  TensorView counter;  // [1]  int32  in and out
  TensorView norm;     // [1]  float
};

void count_non_finite(const CountNonFinite& op, Stream& stream);

}  // namespace srpo
