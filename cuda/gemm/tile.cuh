// The tile of the plain products: 64 x 64 sums, 256 threads with 4 x 4 of them each in registers, both
// operands by way of shared memory in panels of 16 along K.
//
//   for each panel along K: write panels.a and panels.b; block_barrier(); multiply_panels(sums, panels);
//   block_barrier();
//   for_each_sum(sums, panels, [&](int row, int column, float sum) { ... });
#pragma once
#include "cuda/common/barrier.cuh"
#include "cuda/common/shared.cuh"

namespace srpo::cuda {

constexpr int kTile = 64;
constexpr int kPanel = 16;
constexpr int kEach = 4;                 // sums of a thread, each way
constexpr int kSide = kTile / kEach;     // threads each way
constexpr int kThreads = kSide * kSide;  // 256
constexpr int kPadded = kTile + 4;       // another bank for each row of a panel

/// K first: element k of row (or column) i is [k][i].
struct Panels {
  float a[kPanel][kPadded], b[kPanel][kPadded];
  float sums[kTile][kPadded];
};

/// The first row and column of this thread's sums in the tile.
SRPO_DEVICE int tile_row() {
  return static_cast<int>(threadIdx.x) / kSide * kEach;
}
SRPO_DEVICE int tile_column() {
  return static_cast<int>(threadIdx.x) % kSide * kEach;
}

SRPO_DEVICE void multiply_panels(float (&sums)[kEach][kEach], const Panels& panels) {
  const int i0 = tile_row(), j0 = tile_column();
  for (int k = 0; k < kPanel; ++k)
    for (int i = 0; i < kEach; ++i)
      for (int j = 0; j < kEach; ++j) sums[i][j] += panels.a[k][i0 + i] * panels.b[k][j0 + j];
}

/// f(row, column, sum) for all sums of the tile, by way of shared memory: f is compiled once, not for each
/// of a thread's sums, and neighbouring threads have neighbouring columns.
template <typename F>
SRPO_DEVICE void for_each_sum(const float (&sums)[kEach][kEach], Panels& panels, const F& f) {
  for (int i = 0; i < kEach; ++i)
    for (int j = 0; j < kEach; ++j) panels.sums[tile_row() + i][tile_column() + j] = sums[i][j];
  block_barrier();
#pragma unroll 1
  for (int i = static_cast<int>(threadIdx.x); i < kTile * kTile; i += kThreads)
    f(i / kTile, i % kTile, panels.sums[i / kTile][i % kTile]);
}

}  // namespace srpo::cuda
