// What becomes of a tile that is cut along K: the sums of a part go to the workspace as they lie in
// registers, and the warpgroup with the tile's beginning adds them to its own, in the order of K.
#pragma once
#include "cuda/common/atomic.cuh"
#include "cuda/common/barrier.cuh"
#include "cuda/common/dtype.cuh"
#include "cuda/gemm/gemm_parameters.h"
#include "cuda/gemm/gemm_walk.cuh"

namespace srpo::cuda {

/// Whether the part of a range (of a block of a cluster, of a warpgroup) is there. Set by who leaves it, taken
/// back by the one that adds it, so that every kernel finds zeros: it looks when the one before has ended.
constexpr int kMostParts = 1024;
static __device__ unsigned part_is_there[kMostParts];

/// The threads of a consumer.
SRPO_DEVICE void consumer_barrier() {
  barrier_sync(1 + own_consumer(), 128);
}

/// This warpgroup's part of a range, among all.
template <typename Tile>
SRPO_DEVICE int part_place(int range) {
  return (range * Tile::kCluster + own_rank<Tile>()) * Tile::kHolders +
         (Tile::kPingPong ? 0 : own_consumer());
}

/// f(four sums, where they lie in the workspace), for all sums of a thread.
template <typename Tile, typename F>
SRPO_DEVICE void for_each_four(float* workspace, int place, const F& f) {
  constexpr int kFours = Tile::kN / 8;
  auto* to = workspace + int64_t{place} * (Tile::kPartial / Tile::kHolders) + consumer_thread() * 4;
#pragma unroll
  for (int i = 0; i < Tile::kSubtiles; ++i)
#pragma unroll
    for (int j = 0; j < kFours; ++j) f(i, j, to + (i * kFours + j) * 128 * 4);
}

template <typename Tile>
SRPO_DEVICE void leave_part(const GemmSums<Tile>& sums, const GemmParameters& p, int range) {
  const int place = part_place<Tile>(range);
  for_each_four<Tile>(p.workspace, place, [&](int i, int j, float* at) {
    store_pack<4>(at, {sums[i][4 * j], sums[i][4 * j + 1], sums[i][4 * j + 2], sums[i][4 * j + 3]});
  });
  device_fence();
  consumer_barrier();
  if (consumer_thread() == 0) store_release(part_is_there + place, 1);
}

/// Adds the rest of a tile of which this group has steps [0, end).
template <typename Tile>
SRPO_DEVICE void add_parts(GemmSums<Tile>& sums, const GemmParameters& p,
                           const GemmParts<Tile>& part) {
  int left = part.left();
#pragma unroll 1
  for (int range = part.range() + 1; left > 0; ++range) {
    const int place = part_place<Tile>(range);
    if (consumer_thread() == 0) {
      wait_until(part_is_there + place, 1);
      part_is_there[place] = 0;
    }
    consumer_barrier();
    for_each_four<Tile>(p.workspace, place, [&](int i, int j, float* at) {
      float more[4];
      load_pack<4>(more, at);
      for (int k = 0; k < 4; ++k) sums[i][4 * j + k] += more[k];
    });
    left -= p.schedule.range(range + 1) - p.schedule.range(range);
  }
}

}  // namespace srpo::cuda
