#pragma once
#include "cpp/core/stream.h"
#include "cpp/core/tensor_view.h"

namespace srpo {

/// y = f(a, b), element by element; all three alike. add has a file of its own.
struct BinaryForward {
  TensorView y;  // out; may be a or b
  TensorView a;
  TensorView b;
};

// sub: a - b; its gradients are dy and scale(dy, -1)
void sub_forward(const BinaryForward& op, Stream& stream);
// mul: a b; its gradients are mul(dy, b) and mul(dy, a)
void mul_forward(const BinaryForward& op, Stream& stream);

}  // namespace srpo
