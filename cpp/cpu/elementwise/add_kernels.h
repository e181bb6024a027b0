#pragma once
#include <cstdint>

namespace srpo::cpu {

/// n elements each; a bfloat16 is its 16 bits.
struct AddKernels {
  void (*add_f32)(float* y, const float* a, const float* b, int64_t n);
  void (*add_bf16)(uint16_t* y, const uint16_t* a, const uint16_t* b, int64_t n);
  void (*accumulate_bf16)(float* into, const uint16_t* from, int64_t n);
  void (*accumulate_into_bf16)(uint16_t* into, const float* from, int64_t n);
  void (*to_bf16)(uint16_t* y, const float* x, int64_t n);
  void (*to_f32)(float* y, const uint16_t* x, int64_t n);
};

extern const AddKernels add_generic;
extern const AddKernels add_avx2;
extern const AddKernels add_avx512;

}  // namespace srpo::cpu
