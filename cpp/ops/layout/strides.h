#pragma once
#include "cpp/core/tensor_view.h"

namespace srpo {

/// A tensor seen from one dimension: `count` outer rows of `outer` bytes, and `inner` bytes for one
/// index of the dimension.
struct Strides {
  int64_t count, outer, inner;
};

inline Strides strides_of(const TensorView& t, int dim) {
  int64_t inner = static_cast<int64_t>(size_of(t.dtype)), count = 1;
  for (int i = dim + 1; i < t.rank; ++i) inner *= t.dims[i];
  for (int i = 0; i < dim; ++i) count *= t.dims[i];
  return {.count = count, .outer = inner * t.dims[dim], .inner = inner};
}

}  // namespace srpo
