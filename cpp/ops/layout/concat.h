#pragma once
#include <vector>

#include "cpp/core/stream.h"
#include "cpp/core/tensor_view.h"

namespace srpo {

/// The tensors one after the other along a dimension. Any dtype.
struct ConcatForward {
  TensorView y;                // out
  std::vector<TensorView> xs;  // like y, but for the size of `dim`
  int dim;
};

/// The shape of the result; negative dims count from the end and become positive. Throws for
/// tensors that do not fit together.
std::vector<int64_t> concat_shape(const std::vector<TensorView>& xs, int64_t& dim);
void concat_forward(const ConcatForward& op, Stream& stream);

}  // namespace srpo
