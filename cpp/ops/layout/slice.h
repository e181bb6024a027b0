#pragma once
#include <vector>

#include "cpp/core/stream.h"
#include "cpp/core/tensor_view.h"

namespace srpo {

/// Part of a tensor along one dimension: from `start`, as many as y has. Any dtype.
struct SliceForward {
  TensorView y;  // out
  TensorView x;
  int dim;
  int64_t start;
};

/// dx is dy in that part and 0 elsewhere.
struct SliceBackward {
  TensorView dx;  // out
  TensorView dy;
  int dim;
  int64_t start;
};

/// The shape of x[start ... start + length - 1] along `dim`, which becomes positive. Throws
/// ERR_RANGE for what x does not have.
std::vector<int64_t> slice_shape(const TensorView& x, int64_t& dim, int64_t start, int64_t length);
void slice_forward(const SliceForward& op, Stream& stream);
void slice_backward(const SliceBackward& op, Stream& stream);

}  // namespace srpo
