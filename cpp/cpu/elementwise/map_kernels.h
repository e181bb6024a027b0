#pragma once
#include <cstdint>

namespace srpo::cpu {

/// The elementwise ops over n neighbouring elements, one kernel a shape of op; T is float or the bits
/// of a bfloat16. a and b are the op's parameters.
template <typename T>
struct MapKernels {
  using Unary = void (*)(T* y, const T* x, int64_t n, float a, float b);
  using UnaryBackward = void (*)(T* dx, const T* dy, const T* x, int64_t n, float a, float b);
  using Binary = void (*)(T* y, const T* a, const T* b, int64_t n);

  Unary silu, gelu_tanh, gelu_erf, quick_gelu, relu, exp, clamp, affine;
  UnaryBackward silu_backward, gelu_tanh_backward, gelu_erf_backward, quick_gelu_backward,
      relu_backward, exp_backward, clamp_backward;
  Binary sub, mul;
  /// out = x + gate * y
  void (*gated_residual)(T* out, const T* x, const T* gate, const T* y, int64_t n);
  /// sums += a * b
  void (*add_product)(float* sums, const T* a, const T* b, int64_t n);
};

/// out = cx * x + cy * y; out, x and y are float or bfloat16 each.
using CombineKernel = void (*)(void* out, const void* x, const void* y, int64_t n, float cx,
                               float cy);

struct MapTables {
  MapKernels<float> f32;
  MapKernels<uint16_t> bf16;
  CombineKernel combine[2][2][2];  // [out is bfloat16][x is][y is]
  CombineKernel scaled[2][2];      // [out is bfloat16][x is]: without y
};

extern const MapTables map_generic;
extern const MapTables map_avx2;
extern const MapTables map_avx512;

}  // namespace srpo::cpu
