// What attention's backward on Hopper is made of: rows' numbers before the main kernel, dq's sums after it.
#pragma once
#include "cpp/ops/attention/attention.h"

namespace srpo::cuda::attention {

constexpr int kBackwardQueries = 80;  // of a tile

/// statistics [B * N, tiles, 2, 80]: of each query of a tile its lse in base 2, then <dout, out>; past Lq
/// +infinity and 0, so that all its weights are 0. taken [B * N, tiles]: 0, parts of dq that a tile has.
void backward_statistics(float* statistics, unsigned* taken, const AttentionBackward& op,
                         Stream& stream);

/// dq = scale * sums, [B * N, tiles] of QuerySums.
void backward_queries(const AttentionBackward& op, const float* sums, Stream& stream);

}  // namespace srpo::cuda::attention
