// The Hopper product as one kernel: blocks that stay, a warp that loads and two warpgroups that multiply
// and put out. bfloat16 in, float sums; bfloat16 out, or added to float.
#pragma once
#include "cuda/common/early.cuh"
#include "cuda/gemm/gemm_finish.cuh"
#include "cuda/gemm/gemm_heads.cuh"
#include "cuda/gemm/gemm_load.cuh"
#include "cuda/gemm/gemm_multiply.cuh"

namespace srpo::cuda {

/// A thread of a consumer may have so many registers, one of the producer's warpgroup so many.
constexpr int kConsumerRegisters = 232, kProducerRegisters = 40;

/// In ping-pong: waits until this consumer's products may begin, and lets the other's begin.
SRPO_DEVICE void wait_for_turn() {
  barrier_sync(1 + kConsumers + own_consumer(), 2 * 128);
}
SRPO_DEVICE void give_turn() {
  barrier_arrive(2 * kConsumers - own_consumer(), 2 * 128);
}

/// Whose turn it is: counted, or in predicates alone, for an ending that has no register left.
template <bool kCounted>
struct Turns {
  int turn = 0;

  SRPO_DEVICE bool is_own() const { return turn % kConsumers == own_consumer(); }
  SRPO_DEVICE bool is_first() const { return turn == 0; }
  SRPO_DEVICE void next() { ++turn; }
};
template <>
struct Turns<false> {
  bool first = true, own;

  SRPO_DEVICE Turns() : own(own_consumer() == 0) {}
  SRPO_DEVICE bool is_own() const { return own; }
  SRPO_DEVICE bool is_first() const { return first; }
  SRPO_DEVICE void next() {
    first = false;
    own = !own;
  }
};

/// Where this consumer's sums of a tile begin in the output: column, row, batch
/// of both products.
template <typename Tile>
SRPO_DEVICE Coordinates<3> first_of(const GemmSchedule& schedule, int tile) {
  const TilePlace place = place_of(schedule, tile);
  return {place.column * Tile::kN,
          place.row * Tile::kRound + own_rank<Tile>() * Tile::kM + own_part<Tile>() * 64,
          place.batch + place.product * schedule.batch};
}

template <typename Tile, Major kA, Major kB, Ending kEnding>
SRPO_DEVICE void consume(GemmShared<Tile>& shared, const GemmParameters& p) {
  RingPlace<Tile::kStages> at(0);
  GemmOutlet<Tile, kEnding> outlet(p);
  Turns<kEnding != Ending::kSquares> turn;
  for (GemmParts<Tile> part(p.schedule); part.next(); turn.next()) {
    if (Tile::kPingPong && !turn.is_own()) {
      at.skip(part.steps());
      continue;
    }
    if (!part.is_continuation()) {
      outlet.recall();
      outlet.begin(first_of<Tile>(p.schedule, part.tile()));
    }
    if (Tile::kPingPong && !turn.is_first()) wait_for_turn();
    GemmSums<Tile> sums;
    multiply<Tile, kA, kB>(sums, shared, at, part.steps(), [&] {
      if (Tile::kPingPong && part.has_next()) give_turn();
    });
    if (part.is_continuation()) {
      leave_part<Tile>(sums, p, part.range());
    } else {
      add_parts<Tile>(sums, p, part);
      const Coordinates<3> first = first_of<Tile>(p.schedule, part.tile());
      if constexpr (kEnding == Ending::kHeads)
        put_heads<Tile>(sums, p, first);
      else
        put_out<Tile, kEnding>(sums, p, outlet, first);
    }
  }
  if (outlet.leads()) bulk_wait<0>();
}

template <typename Tile, Major kA, Major kB, Ending kEnding>
__global__ void __launch_bounds__(kGemmThreads, 1)
    gemm_sm90_kernel(const __grid_constant__ GemmParameters p) {
  auto& shared = shared_memory<GemmShared<Tile>>();
  if (thread_rank() == 0) {
    for (const GemmProduct& product : p.products) {
      tma_prefetch(product.a);
      tma_prefetch(product.b);
    }
    for (int i = 0; i < Tile::kStages; ++i) {
      mbarrier_init(shared.full[i], 1);
      mbarrier_init(shared.empty[i], Tile::kCluster * Tile::kHolders);
    }
    for (auto& fetched : shared.fetched)
      for (auto& each : fetched) mbarrier_init(each, 1);
    mbarrier_init_fence();
  }
  warp_barrier();
  if constexpr (Tile::kCluster > 1)
    cluster_barrier();
  else
    block_barrier();
  wait_for_earlier_kernel();
  if (own_consumer() == kConsumers) {
    give_registers<kProducerRegisters>();
    if (warp() % 4 == 0 && elect_one()) produce<Tile, kA, kB>(shared, p);
  } else {
    take_registers<kConsumerRegisters>();
    consume<Tile, kA, kB, kEnding>(shared, p);
  }
  warp_barrier();
  // Others of the cluster may still write here, and say so to barriers that lie here.
  if constexpr (Tile::kCluster > 1) cluster_barrier();
}

}  // namespace srpo::cuda
