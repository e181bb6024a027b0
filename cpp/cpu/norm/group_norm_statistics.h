#pragma once
#include <cstdint>

#include "cpp/core/tensor_view.h"

namespace srpo::cpu {

/// statistics [B, groups, 2]: mean and variance of x [B, H, W, C] over a sample's pixels and a group's
/// channels. By workers of its own: not within a parallel block.
void group_norm_statistics(float* statistics, const TensorView& x, int64_t groups);

}  // namespace srpo::cpu
