// The tiles of the Hopper product and what a block keeps in shared memory.
//
//   cooperative   both consumer warpgroups on one tile, kRowsEach of its rows each: the fewest bytes a FLOP
//   ping-pong     each on a tile of its own, in turns: the end of one tile runs under the products of the
//                 other's
//
// A stage is a step of 64 along K: a [kM, 64] and b [kN, 64], or, along M and N, parts of [64 along K, 64].
#pragma once
#include <type_traits>

#include "cuda/common/mbarrier.cuh"
#include "cuda/common/shared.cuh"
#include "cuda/common/wgmma.cuh"

namespace srpo::cuda {

constexpr int kStep = 64;             // along K: 128 bytes, the widest swizzle
constexpr int kPartBytes = 64 * 128;  // 64 x 64 bfloat16, or 64 x 32 float
constexpr int kConsumers = 2;         // warpgroups
constexpr int kGemmThreads = 128 * (kConsumers + 1);

template <int kSubtiles_, int kN_, bool kPingPong_, int kCluster_, int kStages_, int kBuffers_>
struct GemmTile {
  static constexpr int kSubtiles = kSubtiles_;      // of 64 rows, of a consumer
  static constexpr int kRowsEach = 64 * kSubtiles;  // of a consumer
  static constexpr bool kPingPong = kPingPong_;
  static constexpr int kM = kPingPong ? kRowsEach : kRowsEach * kConsumers;
  static constexpr int kN = kN_;
  static constexpr int kCluster = kCluster_;  // blocks, one below the other, which share b
  static constexpr int kStages = kStages_;
  static constexpr int kBuffers = kBuffers_;  // of a consumer, on their way out
  static constexpr int kBytesA = kM * 128, kBytesB = kN * 128;
  static constexpr int kRound = kM * kCluster;  // rows of a cluster's tile
  /// Floats of one part of a tile, in the workspace.
  static constexpr int kPartial = kM * kN;
  /// Warpgroups that hold one tile.
  static constexpr int kHolders = kPingPong ? 1 : kConsumers;
  static_assert(kN % 32 == 0 && kN <= 256 && kM <= 256);
};

/// What becomes of the sums: stored, stored with a residual, finished as the op wants them (GemmOutput),
/// added to float, made q, k and v (GemmHeads), stored times the slope of an activation, or added to float with
/// the squares of what that then is. kJoin may be asked for them too.
enum class Ending { kStore, kJoin, kFinish, kAdd, kHeads, kSlope, kSquares };

//                            rows/64  N   ping-pong cluster stages buffers
using GemmTile128x256 = GemmTile<1, 256, false, 2, 4, 2>;
using GemmTile128x192 = GemmTile<2, 192, true, 2, 4, 4>;
using GemmTile128x160 = GemmTile<2, 160, true, 2, 5, 2>;
using GemmTile128x128 = GemmTile<2, 128, true, 1, 5, 4>;
using GemmTile64x128 = GemmTile<1, 128, true, 1, 6, 4>;

/// The widest for which a consumer's registers suffice: finishing takes some. Heads are whole in a tile.
template <Ending kEnding>
using GemmTilePingPong =
    std::conditional_t<kEnding == Ending::kFinish, GemmTile128x160,
                       std::conditional_t<kEnding == Ending::kJoin || kEnding == Ending::kHeads ||
                                              kEnding == Ending::kSlope,
                                          GemmTile128x128, GemmTile128x192>>;

template <typename Tile>
struct GemmShared {
  alignas(1024) unsigned char a[Tile::kStages][Tile::kBytesA];
  unsigned char b[Tile::kStages][Tile::kBytesB];
  unsigned char out[kConsumers][Tile::kBuffers][kPartBytes];
  Mbarrier full[Tile::kStages], empty[Tile::kStages], fetched[kConsumers][2 * Tile::kBuffers];
  // What a thread keeps here for want of registers: GemmParts' place, GemmOutlet's count.
  int place[kGemmThreads], taken[128 * kConsumers];
};
static_assert(sizeof(GemmShared<GemmTile128x256>) <= kMostShared);
static_assert(sizeof(GemmShared<GemmTile128x192>) <= kMostShared);
static_assert(sizeof(GemmShared<GemmTile128x160>) <= kMostShared);
static_assert(sizeof(GemmShared<GemmTile128x128>) <= kMostShared);
static_assert(sizeof(GemmShared<GemmTile64x128>) <= kMostShared);

/// Who this thread is: asked for anew each time, since a consumer has no registers to keep it in. The block
/// among those of its cluster, the cluster, the consumer in the block, the thread in the consumer.
template <typename Tile>
SRPO_DEVICE int own_rank() {
  return opaque(static_cast<int>(blockIdx.x)) % Tile::kCluster;
}
template <typename Tile>
SRPO_DEVICE int own_group() {
  return opaque(static_cast<int>(blockIdx.x)) / Tile::kCluster;
}
SRPO_DEVICE int own_consumer() {
  return opaque(static_cast<int>(threadIdx.x)) / 128;
}
SRPO_DEVICE int consumer_thread() {
  return opaque(static_cast<int>(threadIdx.x)) % 128;
}

/// A consumer's sums.
template <typename Tile>
using GemmSums = float[Tile::kSubtiles][Tile::kN / 2];

}  // namespace srpo::cuda
