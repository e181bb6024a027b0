// Sums and maxima over a block, the result in every thread, always in the same order. Every thread of
// the block must come; two barriers each.
#pragma once
#include "cuda/common/barrier.cuh"
#include "cuda/common/shared.cuh"
#include "cuda/common/warp.cuh"

namespace srpo::cuda {

SRPO_DEVICE float block_sum(float value) {
  float* parts = reduction_scratch();
  const int warps = block_threads() / kWarp;
  value = warp_sum(value);
  if (lane() == 0) parts[warp()] = value;
  block_barrier();
  float total = parts[0];
  for (int i = 1; i < warps; ++i) total += parts[i];
  block_barrier();  // the next reduction writes where this one reads
  return total;
}

/// Two sums for the barriers of one.
struct Pair {
  float first, second;
};
SRPO_DEVICE Pair block_sum(Pair value) {
  float* parts = reduction_scratch();
  const int warps = block_threads() / kWarp;
  value = {warp_sum(value.first), warp_sum(value.second)};
  if (lane() == 0) {
    parts[warp()] = value.first;
    parts[warp() + 32] = value.second;
  }
  block_barrier();
  Pair total = {parts[0], parts[32]};
  for (int i = 1; i < warps; ++i) {
    total.first += parts[i];
    total.second += parts[i + 32];
  }
  block_barrier();
  return total;
}

/// In double, where squares of floats must neither overflow nor vanish.
SRPO_DEVICE double block_sum(double value) {
  auto* parts = reinterpret_cast<double*>(reduction_scratch());
  const int warps = block_threads() / kWarp;
  value = warp_sum(value);
  if (lane() == 0) parts[warp()] = value;
  block_barrier();
  double total = parts[0];
  for (int i = 1; i < warps; ++i) total += parts[i];
  block_barrier();
  return total;
}

SRPO_DEVICE float block_max(float value) {
  float* parts = reduction_scratch();
  const int warps = block_threads() / kWarp;
  value = warp_max(value);
  if (lane() == 0) parts[warp()] = value;
  block_barrier();
  float most = parts[0];
  for (int i = 1; i < warps; ++i) most = fmaxf(most, parts[i]);
  block_barrier();
  return most;
}

}  // namespace srpo::cuda
