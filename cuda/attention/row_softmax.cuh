// The softmax of attention's rows in registers, a tile of columns after the other: two rows of a warpgroup's
// product a thread, of each a quarter, the lanes of a row being four neighbours. In base 2, with the scale
// folded in: 2^(s f - m f), f = scale log2 e, m the highest product so far.
#pragma once
#include "cuda/attention/scores.cuh"
#include "cuda/common/math.cuh"
#include "cuda/common/warp.cuh"

namespace srpo::cuda::attention {

struct RowSoftmax {
  float factor;                            // f, positive
  float most[2] = {-INFINITY, -INFINITY};  // of products, of rows g and g + 8
  float total[2] = {};                     // of exponentials, this lane's part

  /// Makes exponentials of a tile's products. `shrink`: what earlier sums have to be multiplied by.
  template <size_t kCount>
  SRPO_DEVICE void operator()(float (&s)[kCount], float (&shrink)[2]) {
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      float higher = most[half], other = s[2 * half + 1];
#pragma unroll
      for (size_t j = 0; j < kCount; j += 4) {
        higher = fmaxf(higher, s[j + 2 * half]);
        other = fmaxf(other, s[j + 2 * half + 1]);
      }
      higher = warp_max(fmaxf(higher, other), 4);
      // A row of which all is -infinity: from 0, so that nothing is infinity minus infinity.
      const float base = higher == -INFINITY ? 0.f : higher * factor;
      shrink[half] = approximate_exp2(fmaf(most[half], factor, -base));
      most[half] = higher;
      float sum = 0.f;
      other = 0.f;
#pragma unroll
      for (size_t j = 0; j < kCount; j += 4) {
        float &a = s[j + 2 * half], &b = s[j + 2 * half + 1];
        a = approximate_exp2(fmaf(a, factor, -base));
        b = approximate_exp2(fmaf(b, factor, -base));
        sum += a;
        other += b;
      }
      total[half] = fmaf(total[half], shrink[half], sum + other);
    }
  }

  /// Behind the last tile: 1 / the sum of a row's exponentials, and its log-sum-exp.
  SRPO_DEVICE void finish(float (&inverse)[2], float (&lse)[2]) const {
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const float sum = warp_sum(total[half], 4);
      inverse[half] = sum == 0.f ? 0.f : 1.f / sum;
      lse[half] = sum == 0.f ? INFINITY : most[half] * factor * kLn2 + logf(sum);
    }
  }
};

}  // namespace srpo::cuda::attention
