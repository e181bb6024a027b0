#pragma once
#include <cstdint>

namespace srpo::cpu {

/// What names a sample's draws, but for the first word of the counter.
struct RandomKey {
  uint32_t seed[2];
  uint32_t purpose, step, sample;
};

/// Fill 64 numbers: the draws of 16 counters from `first` on, which wraps at 2^32.
struct RandomFillKernels {
  void (*normal)(float* out, const RandomKey& key, uint32_t first);
  void (*uniform)(float* out, const RandomKey& key, uint32_t first);
  void (*bits)(uint32_t* out, const RandomKey& key, uint32_t first);
};

extern const RandomFillKernels random_fill_generic;
extern const RandomFillKernels random_fill_avx2;
extern const RandomFillKernels random_fill_avx512;

}  // namespace srpo::cpu
