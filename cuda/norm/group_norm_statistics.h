// What a group norm starts from: mean and variance of each group, statistics [B, groups, 2].
#pragma once
#include "cpp/core/stream.h"
#include "cpp/core/tensor_view.h"

namespace srpo::cuda {

/// Of x [B, H, W, C], by a pass over it.
void group_norm_statistics(float* statistics, const TensorView& x, int64_t groups, Stream& stream);

/// Parts of a picture and what is known of each: mean and squared deviation (the sum of the squared
/// distances to that mean) of runs of neighbouring channels over the part's pixels.
struct GroupParts {
  const float* parts;   // [B * count, C / run, 2]
  const float* pixels;  // [B * count]
  int64_t count;        // of a picture
  int64_t run;          // channels
};

/// Of pictures of `size` pixels, C channels, from their parts, by Chan's rule: their squares, and n times
/// the square of each one's distance to the mean.
void join_statistics(float* statistics, const GroupParts& parts, int64_t B, int64_t size, int64_t C,
                     int64_t groups, Stream& stream);

}  // namespace srpo::cuda
