#pragma once
#include "cpp/core/stream.h"
#include "cpp/core/tensor_view.h"

namespace srpo {

/// y = f(x), element by element; a and b are f's parameters, if it has any.
struct UnaryForward {
  TensorView y;  // out, like x
  TensorView x;
  float a = 0.f;
  float b = 0.f;
};

/// dx = dy * f'(x).
struct UnaryBackward {
  TensorView dx;  // out, like x
  TensorView dy;
  TensorView x;
  float a = 0.f;
  float b = 0.f;
};

// silu: x sigmoid(x)
void silu_forward(const UnaryForward& op, Stream& stream);
void silu_backward(const UnaryBackward& op, Stream& stream);
// gelu: x Phi(x), as it is (erf), by a tanh, and by x sigmoid(1.702 x)
void gelu_tanh_forward(const UnaryForward& op, Stream& stream);
void gelu_tanh_backward(const UnaryBackward& op, Stream& stream);
void gelu_erf_forward(const UnaryForward& op, Stream& stream);
void gelu_erf_backward(const UnaryBackward& op, Stream& stream);
void quick_gelu_forward(const UnaryForward& op, Stream& stream);
void quick_gelu_backward(const UnaryBackward& op, Stream& stream);
// relu: max(x, 0); gradient 0 at 0
void relu_forward(const UnaryForward& op, Stream& stream);
void relu_backward(const UnaryBackward& op, Stream& stream);
// exp: e^x; gradient e^x
void exp_forward(const UnaryForward& op, Stream& stream);
void exp_backward(const UnaryBackward& op, Stream& stream);
// clamp: x held to [a, b]; gradient 1 on the bounds
void clamp_forward(const UnaryForward& op, Stream& stream);
void clamp_backward(const UnaryBackward& op, Stream& stream);
// affine: a x + b; its gradient is scale by a. scale: a x, by affine's row
void affine_forward(const UnaryForward& op, Stream& stream);
void scale_forward(const UnaryForward& op, Stream& stream);

}  // namespace srpo
