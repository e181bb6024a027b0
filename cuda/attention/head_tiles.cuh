// What attention for heads of 128 is made of on Hopper: tiles of a head's rows in shared memory as the copy
// engine leaves them, and the products of a warpgroup that take them. bfloat16, sums in float.
//
//   multiply_heads   s [64, n] = a b^T     64 rows of a, n rows of b, over the channels
//   gather_heads     o [64, 128] += p x    p [64, n] in registers, x a tile of n rows
//
// s and o lie as wgmma.cuh has accumulators. With g = lane / 4, c = 2 (lane % 4), w the warp of the group:
//   s[4 j + 2 h + e]   row 16 w + 8 h + g,   column 8 j + c + e
// and p, rounded to bfloat16 by pack_weights, is what the product of 16 columns takes from the same lane.
#pragma once
#include "cpp/core/tensor_view.h"
#include "cuda/common/matrix.cuh"
#include "cuda/common/tma.cuh"
#include "cuda/common/wgmma.cuh"

namespace srpo::cuda::attention {

constexpr int kHead = 128;      // channels
constexpr int kPart = 64;       // of them, in a row of 128 bytes under the swizzle
constexpr int kGroup = 128;     // threads of a warpgroup
constexpr int kGroupRows = 64;  // of a warpgroup's product
constexpr int kGroupSums = 64;  // of a thread, of a [64, 128] product

/// kRows rows of a head: the first half of the channels, then the second.
template <int kRows>
struct alignas(1024) HeadTile {
  bfloat16 part[kHead / kPart][kRows][kPart];
};

/// The map of x [B, N, L, 128] whose box is a HeadTile; coordinates {0, row, 0, b * N + n}.
inline TensorMap heads_map(const TensorView& x, int rows) {
  const int64_t L = x.dim(2);
  return tensor_map(x.pointer, DType::kBFloat16, {kPart, L, 2, x.dim(0) * x.dim(1)},
                    {kHead, kPart, L * kHead}, {kPart, rows, 2, 1}, Swizzle::k128);
}

/// The same of the first N * 128 columns of x [B, L, ..], the heads of a token side by side; coordinates
/// {0, row, 2 n, b}.
inline TensorMap tokens_map(const TensorView& x, int64_t N, int rows) {
  const int64_t L = x.dim(1), width = x.dim(2);
  return tensor_map(x.pointer, DType::kBFloat16, {kPart, L, 2 * N, x.dim(0)},
                    {width, kPart, L * width}, {kPart, rows, 2, 1}, Swizzle::k128);
}

/// A descriptor further on in the same tile.
SRPO_DEVICE uint64_t further(uint64_t descriptor, int bytes) {
  return descriptor + static_cast<uint64_t>(bytes >> 4);
}

template <int kRows>
SRPO_DEVICE void multiply_heads(float (&s)[kRows / 2], const HeadTile<kGroupRows>& a,
                                const HeadTile<kRows>& b) {
  const uint64_t of_a = wgmma_descriptor(&a), of_b = wgmma_descriptor(&b);
#pragma unroll
  for (int d = 0; d < kHead; d += 16) {
    const int half = d / kPart, step = d % kPart * 2;
    wgmma<kRows>(s, further(of_a, half * kGroupRows * 128 + step),
                 further(of_b, half * kRows * 128 + step), d > 0);
  }
}

/// Weights [64, kRows] of a warpgroup, 16 columns a piece.
template <int kRows>
using Weights = unsigned[kRows / 16][4];

template <int kRows>
SRPO_DEVICE void pack_weights(Weights<kRows>& p, const float (&s)[kRows / 2]) {
#pragma unroll
  for (int t = 0; t < kRows / 16; ++t)
#pragma unroll
    for (int i = 0; i < 4; ++i) p[t][i] = pack_bfloat16(s[8 * t + 2 * i], s[8 * t + 2 * i + 1]);
}

template <int kRows>
SRPO_DEVICE void gather_heads(float (&o)[kGroupSums], const Weights<kRows>& p,
                              const HeadTile<kRows>& x) {
  const uint64_t of_x = wgmma_descriptor(&x, 1024, kRows * 128);
#pragma unroll
  for (int t = 0; t < kRows / 16; ++t)
    wgmma<kHead, Major::kMN>(o, p[t], further(of_x, t * 16 * 128));
}

/// Writes a group's [64, 128], rows g and g + 8 of each warp times their factors, rounded, where the copy
/// engine finds it.
SRPO_DEVICE void put_heads(HeadTile<kGroupRows>& to, const float (&o)[kGroupSums],
                           const float (&factor)[2]) {
  const int row = warp() % 4 * 16 + lane() % 16;
#pragma unroll
  for (int t = 0; t < kHead / 8; t += 2) {
    unsigned r[4];
#pragma unroll
    for (int i = 0; i < 4; ++i)
      r[i] = pack_bfloat16(o[4 * t + 2 * i] * factor[i % 2], o[4 * t + 2 * i + 1] * factor[i % 2]);
    const int chunk = (t % 8 + lane() / 16) ^ (row % 8);
    store_matrices(&to.part[t / 8][row][chunk * 8], r);
  }
}

/// One arrival a warp, where its products have ended or what it wrote is there.
SRPO_DEVICE void release(Mbarrier& barrier) {
  if (lane() == 0) mbarrier_arrive(barrier);
}

}  // namespace srpo::cuda::attention
