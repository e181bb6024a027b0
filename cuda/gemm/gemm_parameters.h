// What the kernels of the Hopper product are launched with.
#pragma once
#include "cpp/ops/gemm/gemm.h"
#include "cuda/common/tensor_map.h"
#include "cuda/common/tma.cuh"
#include "cuda/gemm/gemm_heads.h"
#include "cuda/gemm/gemm_schedule.cuh"

namespace srpo::cuda {

/// One product of a launch.
struct GemmProduct {
  TensorMap a = {}, b = {};  // innermost: K, or M and N where the operand lies so; then the batch
  // [batch, M, N]; kSlope: residual is derivative_of, pre the output's `before`
  TensorMap out = {}, pre = {}, residual = {};
  GemmOutput output;  // what else is to be done
  GemmHeads heads;    // instead of out, pre and residual
  int M = 0;
  int rows_of_sample = 1;
};

struct GemmParameters {
  GemmProduct products[kMostProducts];
  int N = 0;
  GemmSchedule schedule;
  float* workspace = nullptr;  // [ranges, blocks of a cluster, a part's sums]
  /// [ranges, blocks of a cluster, warpgroups of a tile]: whether that part is there
  unsigned* ready = nullptr;

  /// The product of coordinates in the output, whose last counts the batches of both products. Asked for anew
  /// each time: a consumer has no registers to keep what it says.
  template <bool kOneBatch = false>
  SRPO_DEVICE const GemmProduct& own(const Coordinates<3>& at) const {
    if constexpr (kOneBatch) return products[opaque(at.at[2])];
    return products[opaque(at.at[2]) < schedule.batch ? 0 : 1];
  }
  /// The same coordinates as the product's maps have them.
  template <bool kOneBatch = false>
  SRPO_DEVICE Coordinates<3> inside(const Coordinates<3>& at) const {
    if constexpr (kOneBatch) return {at.at[0], at.at[1], 0};
    const int batch = at.at[2] < schedule.batch ? at.at[2] : at.at[2] - schedule.batch;
    return {at.at[0], at.at[1], batch};
  }
  /// What is to be done with the sums: what one product is given, the other is given too.
  SRPO_HOST_DEVICE const GemmOutput& asked() const { return products[0].output; }
};

}  // namespace srpo::cuda
