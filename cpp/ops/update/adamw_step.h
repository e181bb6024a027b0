#pragma once
#include <cstdint>
#include <optional>

#include "cpp/core/stream.h"
#include "cpp/core/tensor_view.h"

namespace srpo {

/// What the random halves of a range's elements are named by; the step is the update's.
struct StochasticRounding {
  uint64_t seed;
  uint32_t purpose;
  /// Of the range's first element in all parameters; with 8-bit moments a multiple of their block.
  int64_t offset;
};

/// A matrix [N, K] that is kept as a sum of R outer products:
///   G[n, k] = sum over r of dy[r, n] x[r, k],   in float, in the order of r, no product fused
/// The gradient of a linear layer's weight is one: where few samples made it, its factors are far smaller.
struct Factors {
  TensorView dy;  // [R, N]  float or bfloat16
  TensorView x;   // [R, K]  of dy's dtype
  int64_t first;  // place of the range's first element in G, row by row
};

/// One AdamW update of a flat range, in place, t = step - skipped:
///   g = clip_factor(grad_norm, max_norm) * grad
///   w = w (1 - lr decay)
///   m = m + (1 - beta1) (g - m),   v = beta2 v + (1 - beta2) g^2
///   w = w - lr / (1 - beta1^t) * m / (sqrt(v) / sqrt(1 - beta2^t) + eps)
/// in float32 on the float32 weight, or on the master of a bfloat16 one (master.h), to the same bits;
/// or on a bfloat16 weight alone, which is then rounded up or down with the odds of how near each is:
///   w = upper half of (bits of w + r),   r uniform in 0 .. 65535
/// where element e = offset + i of all parameters has as r half e % 2 (0: lower) of word (e % 8) / 2 of
/// philox4x32(counter = (e / 8, purpose, step, 0), key = seed): no thread and no shard changes it. Moments
/// that are no floats (moments.h) are made floats first and rounded likewise at the end, m with the draws
/// (.., 0) and v with (.., 1) of their own purpose.
/// A norm that is not finite leaves everything as it is. Nothing waits: norm and counter are read on
/// the device.
/// Source: Loshchilov and Hutter, arXiv:1711.05101; the order of operations is torch.optim.AdamW's.
struct AdamwStep {
  TensorView weights;    // [n]     float or bfloat16  in and out
  TensorView remainder;  // [n, 2]  uint8              in and out, with bfloat16 weights, unless
                         //                            they are rounded stochastically
  TensorView m;          // [n]     float, bfloat16 or uint8  in and out
  TensorView v;          // [n]     of m's dtype              in and out
  TensorView m_scale;    // [ceil(n / 256)]  uint8  in and out, with uint8 moments: E of moments.h
  TensorView v_scale;    // likewise
  TensorView grad;       // [n]     float or bfloat16  or not given: factors
  Factors factors;       // instead of grad
  TensorView grad_norm;  // [1]     float              optional: no clipping, no check
  TensorView skipped;    // [1]     int32              optional: updates that were skipped so far
  double lr, beta1, beta2, eps, weight_decay;
  float max_norm;  // 0: no clipping
  int64_t step;    // of this update, from 1, those that are skipped counted
  std::optional<StochasticRounding> rounding;         // of bfloat16 weights without a remainder
  std::optional<StochasticRounding> moment_rounding;  // of moments that are no floats
};

void adamw_step(const AdamwStep& op, Stream& stream);

}  // namespace srpo
