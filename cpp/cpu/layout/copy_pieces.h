#pragma once
#include <algorithm>
#include <cstdint>
#include <cstring>

#include "cpp/cpu/parallel.h"

namespace srpo::cpu {

/// Copies `count` pieces of `bytes` each, whose starts lie `to_step` and `from_step` bytes apart. A
/// null `from` writes zeros. Long pieces are cut, short ones taken together, to some 128 KiB.
inline void copy_pieces(char* to, int64_t to_step, const char* from, int64_t from_step,
                        int64_t count, int64_t bytes) {
  constexpr int64_t kChunk = 1 << 17;
  const int64_t cuts = (bytes + kChunk - 1) / kChunk;
  const int64_t grain = std::max<int64_t>(1, kChunk / std::min(bytes, kChunk));
  parallel_ranges(count * cuts, grain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t piece = i / cuts, offset = i % cuts * kChunk;
      const auto size = static_cast<size_t>(std::min(kChunk, bytes - offset));
      char* target = to + piece * to_step + offset;
      if (from)
        std::memcpy(target, from + piece * from_step + offset, size);
      else
        std::memset(target, 0, size);
    }
  });
}

}  // namespace srpo::cpu
