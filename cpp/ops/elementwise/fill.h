#pragma once
#include "cpp/core/stream.h"
#include "cpp/core/tensor_view.h"

namespace srpo {

/// Every element of y becomes `value`, rounded to y's dtype.
struct Fill {
  TensorView y;  // float32 or bfloat16
  float value;
};
void fill(const Fill& op, Stream& stream);

}  // namespace srpo
