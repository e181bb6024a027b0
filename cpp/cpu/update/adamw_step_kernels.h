#pragma once
#include <cstdint>

namespace srpo::cpu {

/// The numbers of one update, the same for all elements.
struct AdamwNumbers {
  float clip;        // of the gradient
  float decay;       // 1 - lr weight_decay
  float beta1_rest;  // 1 - beta1
  float beta2;       //
  float beta2_rest;  // 1 - beta2
  float step_size;   // lr / (1 - beta1^t)
  float root;        // sqrt(1 - beta2^t)
  float eps;         //
};

/// n elements in place; G is the gradient's type, float or the bits of a bfloat16.
template <typename G>
struct AdamwKernels {
  void (*full)(float* w, float* m, float* v, const G* grad, int64_t n, const AdamwNumbers& numbers);
  void (*halves)(uint16_t* w, uint16_t* remainder, float* m, float* v, const G* grad, int64_t n,
                 const AdamwNumbers& numbers);
  /// Rounded with `random`, 16 bits an element.
  void (*rounded)(uint16_t* w, const uint16_t* random, float* m, float* v, const G* grad, int64_t n,
                  const AdamwNumbers& numbers);
};

struct AdamwTables {
  AdamwKernels<float> f32;
  AdamwKernels<uint16_t> bf16;
  /// ema += rest * (w - ema), of float32 weights or of the master of bfloat16 ones.
  void (*ema_full)(float* ema, const float* w, float rest, int64_t n);
  void (*ema_halves)(float* ema, const uint16_t* w, const uint16_t* remainder, float rest,
                     int64_t n);
};

extern const AdamwTables adamw_generic;
extern const AdamwTables adamw_avx2;
extern const AdamwTables adamw_avx512;

}  // namespace srpo::cpu
