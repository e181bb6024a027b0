#pragma once
#include "cpp/core/stream.h"
#include "cpp/core/tensor_view.h"

namespace srpo {

/// y = x in y's dtype: float32 and bfloat16 to one another (to nearest even).
struct Cast {
  TensorView y;  // out, the shape of x
  TensorView x;
};
void cast(const Cast& op, Stream& stream);

}  // namespace srpo
