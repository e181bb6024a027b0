// y = f(x) and dx = dy * f'(x), f being silu, one of the gelus, relu, exp, clamp or affine. The arithmetic
// is float; activation.h has the functions.

#include "cpp/ops/elementwise/unary.h"

#include "cpp/cpu/elementwise/map.h"
#include "cpp/cpu/parallel.h"
#include "cpp/cpu/visit.h"

namespace srpo::cpu {
namespace {

template <typename Pick>
void forward(const UnaryForward& op, const Pick& kernel_of) {
  visit_bits(op.x.dtype, [&]<typename T>() {
    const auto kernel = kernel_of(map_kernels<T>());
    parallel_ranges(op.x.numel(), kMapGrain, [&](int64_t begin, int64_t end) {
      kernel(op.y.data<T>() + begin, op.x.data<T>() + begin, end - begin, op.a, op.b);
    });
  });
}

template <typename Pick>
void backward(const UnaryBackward& op, const Pick& kernel_of) {
  visit_bits(op.x.dtype, [&]<typename T>() {
    const auto kernel = kernel_of(map_kernels<T>());
    parallel_ranges(op.x.numel(), kMapGrain, [&](int64_t begin, int64_t end) {
      kernel(op.dx.data<T>() + begin, op.dy.data<T>() + begin, op.x.data<T>() + begin, end - begin,
             op.a, op.b);
    });
  });
}

}  // namespace

void silu_forward(const UnaryForward& op, Stream&) {
  forward(op, [](const auto& k) { return k.silu; });
}
void silu_backward(const UnaryBackward& op, Stream&) {
  backward(op, [](const auto& k) { return k.silu_backward; });
}

void gelu_tanh_forward(const UnaryForward& op, Stream&) {
  forward(op, [](const auto& k) { return k.gelu_tanh; });
}
void gelu_tanh_backward(const UnaryBackward& op, Stream&) {
  backward(op, [](const auto& k) { return k.gelu_tanh_backward; });
}

void gelu_erf_forward(const UnaryForward& op, Stream&) {
  forward(op, [](const auto& k) { return k.gelu_erf; });
}
void gelu_erf_backward(const UnaryBackward& op, Stream&) {
  backward(op, [](const auto& k) { return k.gelu_erf_backward; });
}

void quick_gelu_forward(const UnaryForward& op, Stream&) {
  forward(op, [](const auto& k) { return k.quick_gelu; });
}
void quick_gelu_backward(const UnaryBackward& op, Stream&) {
  backward(op, [](const auto& k) { return k.quick_gelu_backward; });
}

void relu_forward(const UnaryForward& op, Stream&) {
  forward(op, [](const auto& k) { return k.relu; });
}
void relu_backward(const UnaryBackward& op, Stream&) {
  backward(op, [](const auto& k) { return k.relu_backward; });
}

void exp_forward(const UnaryForward& op, Stream&) {
  forward(op, [](const auto& k) { return k.exp; });
}
void exp_backward(const UnaryBackward& op, Stream&) {
  backward(op, [](const auto& k) { return k.exp_backward; });
}

void clamp_forward(const UnaryForward& op, Stream&) {
  forward(op, [](const auto& k) { return k.clamp; });
}
void clamp_backward(const UnaryBackward& op, Stream&) {
  backward(op, [](const auto& k) { return k.clamp_backward; });
}

void affine_forward(const UnaryForward& op, Stream&) {
  forward(op, [](const auto& k) { return k.affine; });
}

}  // namespace srpo::cpu
