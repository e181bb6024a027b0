#pragma once
#include "cpp/core/stream.h"
#include "cpp/core/tensor_view.h"

namespace srpo {

/// y = a + b, element by element.
struct AddForward {
  TensorView y;  // out; may be a or b
  TensorView a;
  TensorView b;
};
void add_forward(const AddForward& op, Stream& stream);

/// into += from; the sum of a leaf's gradients. Added in float, and rounded to nearest where into is
/// bfloat16.
struct Accumulate {
  TensorView into;  // float32 or bfloat16, added to
  TensorView from;  // float32 or bfloat16, the same shape
};
void accumulate(const Accumulate& op, Stream& stream);

}  // namespace srpo
