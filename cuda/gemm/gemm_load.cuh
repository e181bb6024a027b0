// The producer of the Hopper product: one thread that keeps the ring of stages full. Blocks of a cluster
// load their own rows of a, and each its share of b for all of them.
#pragma once
#include "cuda/common/cluster.cuh"
#include "cuda/common/tma.cuh"
#include "cuda/gemm/gemm_parameters.h"
#include "cuda/gemm/gemm_walk.cuh"

namespace srpo::cuda {

/// The sides of the boxes that one copy moves, for the maps.
template <typename Tile, Major kA>
constexpr int kBoxA = kA == Major::kK ? Tile::kM : kStep;
template <typename Tile, Major kB>
constexpr int kBoxB = (kB == Major::kK ? Tile::kN : kStep) / Tile::kCluster;

template <typename Tile, Major kA>
SRPO_DEVICE void load_a(unsigned char* to, const TensorMap& map, Mbarrier& full, int k, int row,
                        int batch) {
  if constexpr (kA == Major::kK) {
    tma_load(to, map, full, Coordinates{k, row, batch});
  } else {
    for (int part = 0; part < Tile::kM / 64; ++part)
      tma_load(to + part * kPartBytes, map, full, Coordinates{row + part * 64, k, batch});
  }
}

template <typename Tile>
SRPO_DEVICE void load_shared(unsigned char* to, const TensorMap& map, Mbarrier& full,
                             Coordinates<3> at) {
  if constexpr (Tile::kCluster == 1)
    tma_load(to, map, full, at);
  else
    tma_load_all(to, map, full, at, (1 << Tile::kCluster) - 1);
}

/// The share of block `rank`: some of b's rows, or of each part's rows along K.
template <typename Tile, Major kB>
SRPO_DEVICE void load_b(unsigned char* to, const TensorMap& map, Mbarrier& full, int k, int column,
                        int batch, int rank) {
  constexpr int kRows = kBoxB<Tile, kB>;
  static_assert(kRows % 8 == 0, "a share is whole groups of 8 rows");
  to += rank * kRows * 128;
  if constexpr (kB == Major::kK) {
    load_shared<Tile>(to, map, full, Coordinates{k, column + rank * kRows, batch});
  } else {
    static_assert(Tile::kN % 64 == 0, "along N a tile is whole parts");
    for (int part = 0; part < Tile::kN / 64; ++part)
      load_shared<Tile>(to + part * kPartBytes, map, full,
                        Coordinates{column + part * 64, k + rank * kRows, batch});
  }
}

template <typename Tile, Major kA, Major kB>
SRPO_DEVICE void produce(GemmShared<Tile>& shared, const GemmParameters& p) {
  RingPlace<Tile::kStages> at(1);
  for (GemmParts<Tile> part(p.schedule); part.next();) {
    const TilePlace place = place_of(p.schedule, part.tile());
    const int row = place.row * Tile::kRound + own_rank<Tile>() * Tile::kM,
              column = place.column * Tile::kN;
#pragma unroll 1
    for (int step = part.begin; step < part.end; ++step, at.advance()) {
      auto& full = shared.full[at.index];
      mbarrier_wait(shared.empty[at.index], at.parity);
      mbarrier_arrive_expect(full, Tile::kBytesA + Tile::kBytesB);
      load_a<Tile, kA>(shared.a[at.index], p.products[opaque(place.product)].a, full, step * kStep,
                       row, place.batch);
      load_b<Tile, kB>(shared.b[at.index], p.products[opaque(place.product)].b, full, step * kStep,
                       column, place.batch, own_rank<Tile>());
    }
  }
}

}  // namespace srpo::cuda
