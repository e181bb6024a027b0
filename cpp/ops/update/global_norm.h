#pragma once
#include <vector>

#include "cpp/core/stream.h"
#include "cpp/core/tensor_view.h"

namespace srpo {

/// norm = ||grad||, the root of the sum of all squares; not finite exactly if an element is not, or
/// if the norm is beyond float32. With squares only `ranges` of grad are read: those are the sums of the
/// squares of the rest, in float. Where those cannot be trusted all of grad is read.
struct GlobalNorm {
  TensorView norm;              // [1]  float  out
  TensorView grad;              // flat, any shape
  TensorView squares;           // any shape  float  or not given
  std::vector<int64_t> ranges;  // with squares: begin and count of each, in elements of grad
};

/// Between these, sums of squares in float have neither overflown nor lost much, of which each, of a thousand
/// squares, may be off by 1e-42.
constexpr double kLeastTrusted = 1e-20, kMostTrusted = 1e60;

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
