// The main loop of a consumer warpgroup: the steps of a part of a tile, from the ring into its sums.
#pragma once
#include "cuda/common/cluster.cuh"
#include "cuda/gemm/gemm_tile.cuh"

namespace srpo::cuda {

/// An operand's rows (or, kMN, parts) from the first of a stage on, at its beginning along K.
template <Major kMajor>
SRPO_DEVICE uint64_t operand_at(const unsigned char* stage) {
  return kMajor == Major::kK ? wgmma_descriptor(stage) : wgmma_descriptor(stage, 1024, kPartBytes);
}
/// How much further 64-row part `part` and the 16 `slice`s along K begin: in units of a descriptor.
template <Major kMajor>
SRPO_DEVICE uint64_t further(int part, int slice) {
  return static_cast<uint64_t>((part * kPartBytes + slice * (kMajor == Major::kK ? 32 : 2048)) >>
                               4);
}

/// The first of a consumer's 64-row parts of a.
template <typename Tile>
SRPO_DEVICE int own_part() {
  return Tile::kPingPong ? 0 : own_consumer() * Tile::kSubtiles;
}

/// This warpgroup no longer reads the stage: said to every block that writes into it.
template <typename Tile>
SRPO_DEVICE void release(Mbarrier& empty) {
  const int t = consumer_thread();
  if constexpr (Tile::kCluster == 1) {
    if (t == 0) mbarrier_arrive(empty);
  } else {
    if (t % kWarp == 0 && t / kWarp < Tile::kCluster) mbarrier_arrive_remote(empty, t / kWarp);
  }
}

/// sums = a b over `steps` stages. `begun()` is called when the last product is under way.
template <typename Tile, Major kA, Major kB, typename F>
SRPO_DEVICE void multiply(GemmSums<Tile>& sums, GemmShared<Tile>& shared,
                          RingPlace<Tile::kStages>& at, int steps, const F& begun) {
  int last = 0;
#pragma unroll 1
  for (int step = 0; step < steps; ++step) {
    mbarrier_wait(shared.full[at.index], at.parity);
    const uint64_t a = operand_at<kA>(shared.a[at.index] + own_part<Tile>() * kPartBytes);
    const uint64_t b = operand_at<kB>(shared.b[at.index]);
    wgmma_fence();
#pragma unroll
    for (int slice = 0; slice < kStep / 16; ++slice)
#pragma unroll
      for (int i = 0; i < Tile::kSubtiles; ++i)
        wgmma<Tile::kN, kA, kB>(sums[i], a + further<kA>(i, slice), b + further<kB>(0, slice),
                                step + slice > 0);
    wgmma_commit();
    wgmma_wait<1>();  // of the step before: its stage may be written again
    if (step > 0) release<Tile>(shared.empty[last]);
    last = at.index;
    at.advance();
  }
  begun();
  wgmma_wait<0>();
#pragma unroll
  for (int i = 0; i < Tile::kSubtiles; ++i) wgmma_hold(sums[i]);
  release<Tile>(shared.empty[last]);
}

}  // namespace srpo::cuda
