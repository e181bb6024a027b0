#pragma once
#include <algorithm>
#include <cstdint>
#include <vector>

#include "cpp/cpu/parallel.h"

namespace srpo::cpu {

/// Rows of one partial sum. Fixed, so that the sums do not depend on the number of threads.
constexpr int64_t kRowsOfPart = 64;

/// Sums over the rows of each group, [groups, width], in parts of kRowsOfPart rows that are then
/// added in their order. `add(sums, first, count)` adds rows first ... first + count - 1, counted
/// over all groups, to sums[width].
template <typename F>
std::vector<float> sum_rows(int64_t groups, int64_t rows_of_group, int64_t width, const F& add) {
  const int64_t parts = (rows_of_group + kRowsOfPart - 1) / kRowsOfPart;
  std::vector<float> sums(static_cast<size_t>(groups * parts * width), 0.f);
  parallel_blocks(groups * parts, [&](int64_t block) {
    const int64_t offset = block % parts * kRowsOfPart;
    add(sums.data() + block * width, block / parts * rows_of_group + offset,
        std::min(kRowsOfPart, rows_of_group - offset));
  });
  std::vector<float> totals(static_cast<size_t>(groups * width));
  parallel_ranges(groups * width, 4096, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const float* part = sums.data() + i / width * parts * width + i % width;
      float total = part[0];
      for (int64_t p = 1; p < parts; ++p) total += part[p * width];
      totals[static_cast<size_t>(i)] = total;
    }
  });
  return totals;
}

/// Rows of a part that a backward takes at a time, so that what its first pass has read (x and dy, 16
/// rows of 3072 floats are 400 KB) is still in the core's cache for the second.
constexpr int64_t kRowsInCache = 16;

/// into[i] += from[i]
inline void add_to(float* into, const float* from, int64_t n) {
  for (int64_t i = 0; i < n; ++i) into[i] += from[i];
}

}  // namespace srpo::cpu
