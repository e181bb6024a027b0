// What the kernels of the Hopper product are launched with.
#pragma once
#include "cpp/ops/gemm/gemm.h"
#include "cuda/common/tensor_map.h"
#include "cuda/gemm/gemm_heads.h"
#include "cuda/gemm/gemm_schedule.cuh"

namespace srpo::cuda {

struct GemmParameters {
  TensorMap a = {}, b = {};  // innermost: K, or M and N where the operand lies so; then the batch
  // [batch, M, N]; kSlope: residual is derivative_of, pre the output's `before`
  TensorMap out = {}, pre = {}, residual = {};
  GemmOutput output;  // what else is to be done, and whether
  GemmHeads heads;    // instead of out, pre and residual
  int M, N;
  int rows_of_sample;
  GemmSchedule schedule;
  float* workspace = nullptr;  // [ranges, blocks of a cluster, a part's sums]
  /// [ranges, blocks of a cluster, warpgroups of a tile]: whether that part is there
  unsigned* ready = nullptr;
};

}  // namespace srpo::cuda
