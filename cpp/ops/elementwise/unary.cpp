#include "cpp/ops/elementwise/unary.h"

#include <cmath>

#include "cpp/core/check.h"
#include "cpp/ops/op_table.h"

namespace srpo {
namespace {

void forward(const char* name, void (*OpTable::*row)(const UnaryForward&, Stream&),
             const UnaryForward& op, Stream& stream) {
  require_float(name, "x", op.x);
  require_not_empty(name, "x", op.x);
  dispatch(name, row, op, stream);
}

void backward(const char* name, void (*OpTable::*row)(const UnaryBackward&, Stream&),
              const UnaryBackward& op, Stream& stream) {
  require_float(name, "x", op.x);
  require_not_empty(name, "x", op.x);
  require_gradient(name, "dy", op.dy, op.x);
  dispatch(name, row, op, stream);
}

void require_ordered(const char* name, float lo, float hi) {
  require_range(name, "lo", lo <= hi, "at most hi, " + std::to_string(hi), std::to_string(lo));
}

void require_finite(const char* name, const char* argument, float value) {
  require_range(name, argument, std::isfinite(value), "a finite number", std::to_string(value));
}

}  // namespace

void silu_forward(const UnaryForward& op, Stream& stream) {
  forward("silu", &OpTable::silu_forward, op, stream);
}
void silu_backward(const UnaryBackward& op, Stream& stream) {
  backward("silu backward", &OpTable::silu_backward, op, stream);
}

void gelu_tanh_forward(const UnaryForward& op, Stream& stream) {
  forward("gelu", &OpTable::gelu_tanh_forward, op, stream);
}
void gelu_tanh_backward(const UnaryBackward& op, Stream& stream) {
  backward("gelu backward", &OpTable::gelu_tanh_backward, op, stream);
}

void gelu_erf_forward(const UnaryForward& op, Stream& stream) {
  forward("gelu", &OpTable::gelu_erf_forward, op, stream);
}
void gelu_erf_backward(const UnaryBackward& op, Stream& stream) {
  backward("gelu backward", &OpTable::gelu_erf_backward, op, stream);
}

void quick_gelu_forward(const UnaryForward& op, Stream& stream) {
  forward("gelu", &OpTable::quick_gelu_forward, op, stream);
}
void quick_gelu_backward(const UnaryBackward& op, Stream& stream) {
  backward("gelu backward", &OpTable::quick_gelu_backward, op, stream);
}

void relu_forward(const UnaryForward& op, Stream& stream) {
  forward("relu", &OpTable::relu_forward, op, stream);
}
void relu_backward(const UnaryBackward& op, Stream& stream) {
  backward("relu backward", &OpTable::relu_backward, op, stream);
}

void exp_forward(const UnaryForward& op, Stream& stream) {
  forward("exp", &OpTable::exp_forward, op, stream);
}
void exp_backward(const UnaryBackward& op, Stream& stream) {
  backward("exp backward", &OpTable::exp_backward, op, stream);
}

void clamp_forward(const UnaryForward& op, Stream& stream) {
  require_ordered("clamp", op.a, op.b);
  forward("clamp", &OpTable::clamp_forward, op, stream);
}
void clamp_backward(const UnaryBackward& op, Stream& stream) {
  require_ordered("clamp backward", op.a, op.b);
  backward("clamp backward", &OpTable::clamp_backward, op, stream);
}

void affine_forward(const UnaryForward& op, Stream& stream) {
  require_finite("affine", "a", op.a);
  require_finite("affine", "b", op.b);
  forward("affine", &OpTable::affine_forward, op, stream);
}
void scale_forward(const UnaryForward& op, Stream& stream) {
  require_finite("scale", "s", op.a);
  forward("scale", &OpTable::affine_forward, op, stream);
}

}  // namespace srpo
