// Which tile a product (or two in one launch) takes, and how its tiles are dealt out: by a model of the clocks, from the sizes and
// the number of multiprocessors alone, so that the bits are the same on every run on one kind of card.
//
//   a step of 64 along K    kM kN / 32 clocks of the tensor cores (four times as many on a card of fewer
//                           than 100 multiprocessors: the H20), or the bytes from L2 at 46 a clock
//   the end of a tile       kM kN / 12, hidden by ping-pong but for the last
//   a part in the workspace 4 kM kN bytes, written once and read once
//
// The figures are of kernels.md's derivation (4.3, 4.6, 5.3), not measured: nothing has run on a card yet.
#pragma once
#include "cuda/gemm/gemm_schedule.cuh"

namespace srpo::cuda {

/// kPingPong is 128 x 192, or narrower where more becomes of the sums (GemmTilePingPong).
enum class GemmTileKind { k128x256, kPingPong, k128x128, k64x128 };
constexpr GemmTileKind kGemmTileKinds[] = {GemmTileKind::k128x256, GemmTileKind::kPingPong,
                                           GemmTileKind::k128x128, GemmTileKind::k64x128};

struct GemmPlan {
  GemmTileKind tile = GemmTileKind::k128x128;
  GemmSchedule schedule;
  double clocks = 0;  // by the model
};

struct GemmSizes {
  struct {
    int64_t M = 0, K = 0;
  } of[kMostProducts];  // the second of none where there is one product
  int64_t N, batch;
  int ping_pong_width;  // of its widest tile
};

/// The best of all tiles and ways to split; or of one tile, which the environment's SRPO_GEMM_TILE names
/// (128x256, ping-pong, 128x128, 64x128), so that a bench on a card can compare them.
GemmPlan plan_gemm(const GemmSizes& sizes, int multiprocessors);
/// The best way to split with this tile.
GemmPlan plan_gemm(GemmTileKind tile, const GemmSizes& sizes, int multiprocessors);

}  // namespace srpo::cuda
