// y = f(x) and dx = dy * f'(x), f being silu, one of the gelus, relu, exp, clamp or affine. The arithmetic
// is float; activation.cuh has the functions. In place is allowed.

#include "cpp/ops/elementwise/unary.h"

#include "cuda/common/activation.cuh"
#include "cuda/elementwise/map.cuh"

namespace srpo::cuda {
namespace {

template <ActivationKind kind>
struct Activation {
  static SRPO_DEVICE float of(float x, float, float) { return activate<kind>(x); }
  static SRPO_DEVICE float derivative(float dy, float x, float, float) {
    return dy * activation_derivative<kind>(x);
  }
};
using Silu = Activation<ActivationKind::kSilu>;
using GeluTanh = Activation<ActivationKind::kGeluTanh>;
using GeluErf = Activation<ActivationKind::kGeluErf>;
using QuickGelu = Activation<ActivationKind::kQuickGelu>;

struct Relu {  // NaN stays NaN
  static SRPO_DEVICE float of(float x, float, float) { return x <= 0.f ? 0.f : x; }
  static SRPO_DEVICE float derivative(float dy, float x, float, float) {
    return x <= 0.f ? 0.f : dy;
  }
};

struct Exp {
  static SRPO_DEVICE float of(float x, float, float) { return expf(x); }
  static SRPO_DEVICE float derivative(float dy, float x, float, float) { return dy * expf(x); }
};

struct Clamp {  // NaN stays NaN, and has no gradient
  static SRPO_DEVICE float of(float x, float lo, float hi) { return x < lo ? lo : x > hi ? hi : x; }
  static SRPO_DEVICE float derivative(float dy, float x, float lo, float hi) {
    return x >= lo && x <= hi ? dy : 0.f;
  }
};

struct Affine {
  static SRPO_DEVICE float of(float x, float a, float b) { return a * x + b; }
};

template <typename F, typename T>
__global__ void unary_forward_kernel(T* y, const T* x, int64_t n, bool packed, float a, float b) {
  wait_for_earlier_kernel();
  map<kPack<T>>(n, packed, [=]<int N>(int64_t i) {
    float v[N];
    load_pack(v, x + i);
    for (float& value : v) value = F::of(value, a, b);
    store_pack(y + i, v);
  });
}

template <typename F, typename T>
__global__ void unary_backward_kernel(T* dx, const T* dy, const T* x, int64_t n, bool packed,
                                      float a, float b) {
  wait_for_earlier_kernel();
  map<kPack<T>>(n, packed, [=]<int N>(int64_t i) {
    float g[N], v[N];
    load_pack(g, dy + i);
    load_pack(v, x + i);
    for (int j = 0; j < N; ++j) g[j] = F::derivative(g[j], v[j], a, b);
    store_pack(dx + i, g);
  });
}

template <typename F>
void forward(const UnaryForward& op, Stream& stream) {
  visit_float(op.x.dtype, [&]<typename T>() {
    const bool packed = packs<T>(op.y.pointer) && packs<T>(op.x.pointer);
    launch(unary_forward_kernel<F, T>, map_config<kPack<T>>(op.x.numel(), stream), op.y.data<T>(),
           op.x.data<T>(), op.x.numel(), packed, op.a, op.b);
  });
}

template <typename F>
void backward(const UnaryBackward& op, Stream& stream) {
  visit_float(op.x.dtype, [&]<typename T>() {
    const bool packed =
        packs<T>(op.dx.pointer) && packs<T>(op.dy.pointer) && packs<T>(op.x.pointer);
    launch(unary_backward_kernel<F, T>, map_config<kPack<T>>(op.x.numel(), stream), op.dx.data<T>(),
           op.dy.data<T>(), op.x.data<T>(), op.x.numel(), packed, op.a, op.b);
  });
}

}  // namespace

void silu_forward(const UnaryForward& op, Stream& stream) {
  forward<Silu>(op, stream);
}
void silu_backward(const UnaryBackward& op, Stream& stream) {
  backward<Silu>(op, stream);
}

void gelu_tanh_forward(const UnaryForward& op, Stream& stream) {
  forward<GeluTanh>(op, stream);
}
void gelu_tanh_backward(const UnaryBackward& op, Stream& stream) {
  backward<GeluTanh>(op, stream);
}

void gelu_erf_forward(const UnaryForward& op, Stream& stream) {
  forward<GeluErf>(op, stream);
}
void gelu_erf_backward(const UnaryBackward& op, Stream& stream) {
  backward<GeluErf>(op, stream);
}

void quick_gelu_forward(const UnaryForward& op, Stream& stream) {
  forward<QuickGelu>(op, stream);
}
void quick_gelu_backward(const UnaryBackward& op, Stream& stream) {
  backward<QuickGelu>(op, stream);
}

void relu_forward(const UnaryForward& op, Stream& stream) {
  forward<Relu>(op, stream);
}
void relu_backward(const UnaryBackward& op, Stream& stream) {
  backward<Relu>(op, stream);
}

void exp_forward(const UnaryForward& op, Stream& stream) {
  forward<Exp>(op, stream);
}
void exp_backward(const UnaryBackward& op, Stream& stream) {
  backward<Exp>(op, stream);
}

void clamp_forward(const UnaryForward& op, Stream& stream) {
  forward<Clamp>(op, stream);
}
void clamp_backward(const UnaryBackward& op, Stream& stream) {
  backward<Clamp>(op, stream);
}

void affine_forward(const UnaryForward& op, Stream& stream) {
  forward<Affine>(op, stream);
}

}  // namespace srpo::cuda
