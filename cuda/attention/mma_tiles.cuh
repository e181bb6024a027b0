// What the attention kernels on the tensor cores are made of: rows of bfloat16 in shared memory, and the
// two products of a warp that take them.
//
//   multiply_rows  s[m][t] += a b^T   16 rows of a a tile m, 8 rows of b a tile t, summed over Dh
//   gather_rows    o[m][t] += p x     p is such an s, rounded to bfloat16; 8 channels a tile t
//
// With g = lane / 4, c = 2 (lane % 4), a lane holds (g, c), (g, c + 1), (g + 8, c), (g + 8, c + 1) of each
// tile, so that what the first product leaves in a lane is what the second takes from it.
#pragma once
#include "cuda/common/async_copy.cuh"
#include "cuda/common/barrier.cuh"
#include "cuda/common/dtype.cuh"
#include "cuda/common/matrix.cuh"
#include "cuda/common/warp.cuh"

namespace srpo::cuda::attention {

/// Rows are 16 bytes longer than a head: the eight of an 8 x 8 tile then lie in different banks.
template <int Dh, int kRows>
using TileRows = bfloat16[kRows][Dh + 8];

/// Copies rows [first, first + kRows) of L rows; zeros past the end. `threads` of the block take part.
template <int Dh, int kRows>
SRPO_DEVICE void copy_rows(TileRows<Dh, kRows>& to, const bfloat16* from, int64_t stride,
                           int64_t first, int64_t L, int threads) {
  constexpr int kPacks = Dh / 8;  // of a row
#pragma unroll 1  // or the addresses of all of them stay in registers that the sums need
  for (int i = static_cast<int>(threadIdx.x); i < kRows * kPacks; i += threads) {
    const int row = i / kPacks, d = i % kPacks * 8;
    const bool inside = first + row < L;
    copy_async(&to[row][d], from + (inside ? first + row : 0) * stride + d, inside);
  }
}

/// a: from the warp's first row on.
template <int Dh, int M, int kColumns>
SRPO_DEVICE void multiply_rows(float (&s)[M][kColumns / 8][4], bfloat16 (*a)[Dh + 8],
                               const TileRows<Dh, kColumns>& b) {
  const int row = lane() % 8, tile = lane() / 8;
#pragma unroll
  for (int d = 0; d < Dh; d += 16) {
    unsigned left[M][4];
#pragma unroll
    for (int m = 0; m < M; ++m)
      load_matrices(left[m], &a[m * 16 + tile % 2 * 8 + row][d + tile / 2 * 8]);
#pragma unroll
    for (int t = 0; t < kColumns / 8; t += 2) {
      unsigned right[4];
      load_matrices(right, &b[t * 8 + tile / 2 * 8 + row][d + tile % 2 * 8]);
#pragma unroll
      for (int m = 0; m < M; ++m) {
        multiply_add(s[m][t], left[m], {right[0], right[1]});
        multiply_add(s[m][t + 1], left[m], {right[2], right[3]});
      }
    }
  }
}

template <int Dh, int M, int kColumns>
SRPO_DEVICE void gather_rows(float (&o)[M][Dh / 8][4], const float (&p)[M][kColumns / 8][4],
                             const TileRows<Dh, kColumns>& x) {
  const int row = lane() % 8, tile = lane() / 8;
#pragma unroll
  for (int j = 0; j < kColumns / 16; ++j) {
    unsigned left[M][4];
#pragma unroll
    for (int m = 0; m < M; ++m)
#pragma unroll
      for (int r = 0; r < 4; ++r) {
        const float (&pair)[4] = p[m][2 * j + r / 2];
        left[m][r] = pack_bfloat16(pair[r % 2 * 2], pair[r % 2 * 2 + 1]);
      }
#pragma unroll
    for (int t = 0; t < Dh / 8; t += 2) {
      unsigned right[4];
      load_matrices<true>(right, &x[j * 16 + tile % 2 * 8 + row][t * 8 + tile / 2 * 8]);
#pragma unroll
      for (int m = 0; m < M; ++m) {
        multiply_add(o[m][t], left[m], {right[0], right[1]});
        multiply_add(o[m][t + 1], left[m], {right[2], right[3]});
      }
    }
  }
}

/// Writes 16 M rows of a warp, of which `rows` are there, each times its factor, by way of `space`: rows
/// of shared memory that no other warp uses.
template <int Dh, int M>
SRPO_DEVICE void store_rows(bfloat16* to, int64_t stride, int64_t rows, bfloat16 (*space)[Dh + 8],
                            const float (&o)[M][Dh / 8][4], const float (&factor)[M][2]) {
  const int g = lane() / 4, c = lane() % 4 * 2;
  warp_barrier();
#pragma unroll
  for (int m = 0; m < M; ++m)
#pragma unroll
    for (int half = 0; half < 2; ++half)
#pragma unroll
      for (int t = 0; t < Dh / 8; ++t) {
        const float pair[2] = {o[m][t][2 * half] * factor[m][half],
                               o[m][t][2 * half + 1] * factor[m][half]};
        store_pack(&space[m * 16 + half * 8 + g][t * 8 + c], pair);
      }
  warp_barrier();
  for (int i = lane(); i < M * 16 * (Dh / 8); i += kWarp) {
    const int row = i / (Dh / 8), d = i % (Dh / 8) * 8;
    if (row < rows)
      *reinterpret_cast<Pack<bfloat16, 8>*>(to + row * stride + d) =
          *reinterpret_cast<const Pack<bfloat16, 8>*>(&space[row][d]);
  }
}

}  // namespace srpo::cuda::attention
