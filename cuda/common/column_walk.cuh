// A walk over the rows of [samples, rows, C] in which a thread keeps its columns: for sums a column, and
// for maps with numbers a column. A sample's rows are cut into parts, one a block, by its sizes alone.
// Within a block neighbouring threads take neighbouring packs of N columns, and then the next row.
//
// Sums: every part's own go to parts [samples * parts, K, C]; column_sums.cuh adds those up.
#pragma once
#include "cuda/common/barrier.cuh"
#include "cuda/common/dtype.cuh"
#include "cuda/common/launch.cuh"
#include "cuda/common/shared.cuh"

namespace srpo::cuda {

constexpr int kWalkThreads = 256;

struct ColumnWalk {
  int64_t samples, rows, C;
  int64_t rows_of_part, parts;  // of a sample
  int packs;                    // columns of a block, in packs of N
  int lines;                    // rows that a block takes at once

  /// The first of this thread's columns; C or more if it has none.
  template <int N>
  SRPO_DEVICE int64_t column() const {
    if (static_cast<int>(threadIdx.x) >= packs * lines) return C;
    return (int64_t{blockIdx.y} * packs + static_cast<int>(threadIdx.x) % packs) * N;
  }
  SRPO_DEVICE int64_t sample() const { return blockIdx.z; }
  /// Among the parts of all samples.
  SRPO_DEVICE int64_t part() const { return int64_t{blockIdx.z} * parts + blockIdx.x; }
  /// Rows of this block's part, counted over all samples.
  SRPO_DEVICE int64_t begin() const { return sample() * rows + blockIdx.x * rows_of_part; }
  SRPO_DEVICE int64_t end() const {
    const int64_t to = (blockIdx.x + 1) * rows_of_part;
    return sample() * rows + (to < rows ? to : rows);
  }
  /// This thread's rows, kRows at a time; a thread without columns has none. First load(k, row) for each
  /// of them, then use(k, row), in order: so that the memory has all their bytes to fetch at once.
  template <int N, int kRows, typename Load, typename Use>
  SRPO_DEVICE void for_each_row(const Load& load, const Use& use) const {
    if (column<N>() >= C) return;
    const int64_t last = end();
    for (int64_t row = begin() + static_cast<int>(threadIdx.x) / packs; row < last;
         row += int64_t{kRows} * lines) {
#pragma unroll
      for (int k = 0; k < kRows; ++k)
        if (row + k * lines < last) load(k, row + k * lines);
#pragma unroll
      for (int k = 0; k < kRows; ++k)
        if (row + k * lines < last) use(k, row + k * lines);
    }
  }
};

/// What the threads of a block have summed, K sums for each of N columns.
template <int K, int N>
struct WalkSums {
  float sum[K][N][kWalkThreads];
};

/// Adds up the lines of a block. True in the threads that have the totals; all threads must come.
template <int K, int N>
SRPO_DEVICE bool add_lines(float (&sums)[K][N], const ColumnWalk& walk) {
  auto& all = shared_memory<WalkSums<K, N>>();
  const int thread = static_cast<int>(threadIdx.x);
  for (int k = 0; k < K; ++k)
    for (int j = 0; j < N; ++j) all.sum[k][j][thread] = sums[k][j];
  block_barrier();
  if (thread >= walk.packs || walk.column<N>() >= walk.C) return false;
  for (int line = 1; line < walk.lines; ++line)
    for (int k = 0; k < K; ++k)
      for (int j = 0; j < N; ++j) sums[k][j] += all.sum[k][j][line * walk.packs + thread];
  return true;
}

/// add_lines, and the totals to parts.
template <int K, int N>
SRPO_DEVICE void store_parts(float* parts, float (&sums)[K][N], const ColumnWalk& walk) {
  if (!add_lines(sums, walk)) return;
  for (int k = 0; k < K; ++k)
    for (int j = 0; j < N; ++j)
      parts[(walk.part() * K + k) * walk.C + walk.column<N>() + j] = sums[k][j];
}

/// For packs of N, of which C is a multiple.
template <int N>
ColumnWalk column_walk(int64_t samples, int64_t rows, int64_t C) {
  constexpr int64_t kMostParts = 512;  // enough for all multiprocessors, few to add up
  constexpr int64_t kLeastLines = 16;  // rows of a thread
  const int64_t columns = C / N, blocks = ceil_div(columns, kWalkThreads);
  const int64_t packs = ceil_div(columns, blocks), lines = kWalkThreads / packs;
  int64_t rows_of_part = ceil_div(rows, kMostParts);
  if (rows_of_part < kLeastLines * lines) rows_of_part = kLeastLines * lines;
  return {.samples = samples,
          .rows = rows,
          .C = C,
          .rows_of_part = rows_of_part,
          .parts = ceil_div(rows, rows_of_part),
          .packs = static_cast<int>(packs),
          .lines = static_cast<int>(lines)};
}

/// The launch of a kernel that walks, with K sums for each column or none.
template <int N, int K = 0>
LaunchConfig walk_config(const ColumnWalk& walk, Stream& stream) {
  return {.grid = {walk.parts, ceil_div(walk.C / N, walk.packs), walk.samples},
          .block = kWalkThreads,
          .shared = K == 0 ? 0 : sizeof(WalkSums < K == 0 ? 1 : K, N >),
          .stream = stream};
}

/// Calls f.template operator()<N>() with N = kPack<T> if `packed`, else 1; for launchers.
template <typename T, typename F>
void visit_pack(bool packed, const F& f) {
  packed ? f.template operator()<kPack<T>>() : f.template operator()<1>();
}

}  // namespace srpo::cuda
