// What the plain attention kernels are made of: tiles of 64 x 64 scores, four by four in each of 256
// threads, from panels of the operands in shared memory. Any sizes; rows and columns outside are zeros.
//
//   dot_tile   s[i, j]   = sum over d of a[i, d] * b[j, d]           the scores, and dp
//   add_tile   sum[i, d] += sum over j of weight[i, j] * x[j, d]     weight written by put_weights
//
// Thread t holds rows 4 (t / 16) + r of both; columns 4 (t % 16) + c of s, and of sum those of every
// 64th column: 4 (t % 16) + 64 m + c. The 16 threads of a row are neighbours within a warp.
#pragma once
#include "cuda/common/barrier.cuh"
#include "cuda/common/shared.cuh"

namespace srpo::cuda::attention {

constexpr int kTile = 64;
constexpr int kPanel = 16;
constexpr int kEach = 4;                 // scores of a thread, each way
constexpr int kSide = kTile / kEach;     // threads each way
constexpr int kThreads = kSide * kSide;  // 256
constexpr int kPadded = kTile + 4;       // another bank for each row of a panel

template <int kColumns>
struct Tiles {
  float a[kPanel][kPadded], b[kPanel][kPadded];
  float x[kPanel][kColumns];
  float weights[kTile][kPadded];  // [j][i]
};

/// The sums of a thread: four rows of kColumns / 16 columns.
template <int kColumns>
using Sums = float[kEach][kColumns / kSide];

SRPO_DEVICE int first_row() {
  return static_cast<int>(threadIdx.x) / kSide * kEach;
}
SRPO_DEVICE int first_column() {
  return static_cast<int>(threadIdx.x) % kSide * kEach;
}

/// Rows of a matrix in memory, `rows` of them left from `data` on.
template <typename T>
struct Rows {
  const T* data;
  int64_t stride;
  int64_t rows;
};

template <typename T>
SRPO_DEVICE void load_panel(float (&panel)[kPanel][kPadded], const Rows<T>& from, int64_t d,
                            int64_t Dh) {
  for (int i = static_cast<int>(threadIdx.x); i < kTile * kPanel; i += kThreads) {
    const int r = i / kPanel, c = i % kPanel;
    panel[c][r] = r < from.rows && d + c < Dh ? float(from.data[r * from.stride + d + c]) : 0.f;
  }
}

template <int kColumns, typename T>
SRPO_DEVICE void dot_tile(float (&s)[kEach][kEach], Tiles<kColumns>& tiles, const Rows<T>& a,
                          const Rows<T>& b, int64_t Dh) {
  const int i0 = first_row(), j0 = first_column();
#pragma unroll
  for (int r = 0; r < kEach; ++r)
#pragma unroll
    for (int c = 0; c < kEach; ++c) s[r][c] = 0.f;
  for (int64_t d = 0; d < Dh; d += kPanel) {
    load_panel(tiles.a, a, d, Dh);
    load_panel(tiles.b, b, d, Dh);
    block_barrier();
#pragma unroll 4
    for (int step = 0; step < kPanel; ++step)
#pragma unroll
      for (int r = 0; r < kEach; ++r)
#pragma unroll
        for (int c = 0; c < kEach; ++c) s[r][c] += tiles.a[step][i0 + r] * tiles.b[step][j0 + c];
    block_barrier();  // the next panel is written where this one is read
  }
}

/// What add_tile takes; its first barrier comes before it reads them, its last one after.
template <int kColumns>
SRPO_DEVICE void put_weights(Tiles<kColumns>& tiles, const float (&weight)[kEach][kEach]) {
  const int i0 = first_row(), j0 = first_column();
#pragma unroll
  for (int r = 0; r < kEach; ++r)
#pragma unroll
    for (int c = 0; c < kEach; ++c) tiles.weights[j0 + c][i0 + r] = weight[r][c];
}

/// `x` begins at the first of the columns that the block sums, `columns` of them at most.
template <int kColumns, typename T>
SRPO_DEVICE void add_tile(Sums<kColumns>& sums, Tiles<kColumns>& tiles, const Rows<T>& x,
                          int64_t columns) {
  const int i0 = first_row(), d0 = first_column();
  for (int j = 0; j < kTile; j += kPanel) {
    for (int i = static_cast<int>(threadIdx.x); i < kPanel * kColumns; i += kThreads) {
      const int r = i / kColumns, d = i % kColumns;
      tiles.x[r][d] = j + r < x.rows && d < columns ? float(x.data[(j + r) * x.stride + d]) : 0.f;
    }
    block_barrier();
#pragma unroll 2
    for (int step = 0; step < kPanel; ++step)
#pragma unroll
      for (int m = 0; m < kColumns / kTile; ++m)
#pragma unroll
        for (int r = 0; r < kEach; ++r)
#pragma unroll
          for (int c = 0; c < kEach; ++c)
            sums[r][kEach * m + c] +=
                tiles.weights[j + step][i0 + r] * tiles.x[step][kTile * m + d0 + c];
    block_barrier();
  }
}

/// Writes rows of sums, each times its factor.
template <int kColumns, typename T>
SRPO_DEVICE void store_tile(T* to, int64_t stride, int64_t rows, int64_t columns,
                            const Sums<kColumns>& sums, const float (&factor)[kEach]) {
  const int i0 = first_row(), d0 = first_column();
#pragma unroll
  for (int r = 0; r < kEach; ++r)
#pragma unroll
    for (int m = 0; m < kColumns / kTile; ++m)
#pragma unroll
      for (int c = 0; c < kEach; ++c) {
        const int d = kTile * m + d0 + c;
        if (i0 + r < rows && d < columns)
          to[(i0 + r) * stride + d] = T(sums[r][kEach * m + c] * factor[r]);
      }
}

}  // namespace srpo::cuda::attention
