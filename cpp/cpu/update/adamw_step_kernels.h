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

/// n elements, in place. What a form does not have is null.
struct AdamwRun {
  void* w = nullptr;                // float, or the bits of bfloat16
  uint16_t* remainder = nullptr;    // split weights
  void *m = nullptr, *v = nullptr;  // float, the bits of bfloat16, or codes of 8 bits
  uint8_t *m_scale = nullptr,
          *v_scale = nullptr;  // of codes: one block, that of the run (moments.h)
  const void* grad = nullptr;
  const uint16_t *random_w = nullptr, *random_m = nullptr,
                 *random_v = nullptr;  // 16 bits an element
  int64_t n = 0;                       // with codes at most a block
};

using AdamwKernel = void (*)(const AdamwRun& run, const AdamwNumbers& numbers);

/// How weights are kept, and moments.
enum WeightForm { kFullWeights, kSplitWeights, kRoundedWeights };
enum MomentForm { kFloatMoments, kHalfMoments, kByteMoments };

struct AdamwTables {
  /// out[i] = sum over r of dy[r N] x[r K + i]; by whether they are bfloat16.
  void (*factored[2])(float* out, const void* dy, int64_t N, const void* x, int64_t K, int64_t R,
                      int64_t n);
  AdamwKernel step[3][3][2];  // by WeightForm, MomentForm, and whether gradients are bfloat16
  /// ema += rest * (w - ema), of float32 weights or of the master of bfloat16 ones.
  void (*ema_full)(float* ema, const float* w, float rest, int64_t n);
  void (*ema_halves)(float* ema, const uint16_t* w, const uint16_t* remainder, float rest,
                     int64_t n);
};

extern const AdamwTables adamw_generic;
extern const AdamwTables adamw_avx2;
extern const AdamwTables adamw_avx512;

}  // namespace srpo::cpu
