// How a thread walks through the parts of tiles that the schedule gives its group of blocks.
#pragma once
#include "cuda/gemm/gemm_schedule.cuh"
#include "cuda/gemm/gemm_tile.cuh"

namespace srpo::cuda {

/// The parts of tiles that this group of blocks multiplies, in order:
///   for (GemmParts<Tile> part(schedule); part.next();) ... part.tile(), part.begin, part.end
/// A consumer has few registers to spare: where it is lies in shared memory, and the rest is computed anew.
template <typename Tile>
class GemmParts {
 public:
  int begin = 0, end = 0;  // steps [begin, end) of the tile

  SRPO_DEVICE explicit GemmParts(const GemmSchedule& schedule) : s_(schedule) {
    place() = s_.range(range());
  }

  SRPO_DEVICE bool next() {
    int at = place();
    if (at == until()) at = s_.split_steps() + range();
    if (at >= last()) return false;
    begin = 0;
    if (at < s_.split_steps()) {
      const int before = s_.split_steps(0), product = at < before ? 0 : 1;
      begin = (at - (product == 0 ? 0 : before)) % s_.of[product].steps;
      end = begin + until() - at;
      if (end > s_.of[product].steps) end = s_.of[product].steps;
      place() = at + end - begin;
    } else {
      place() = at + s_.groups;
      end = s_.of[s_.product_of(tile())].steps;
    }
    return true;
  }
  SRPO_DEVICE bool has_next() const {
    const int at = place();
    return (at == until() ? s_.split_steps() + range() : at) < last();
  }

  SRPO_DEVICE int tile() const {
    const int at = place(), before = s_.split_steps(0);
    if (at <= before) return (at - 1) / s_.of[0].steps;
    if (at <= s_.split_steps()) return s_.tiles_of(0) + (at - 1 - before) / s_.of[1].steps;
    const int whole = at - s_.groups - s_.split_steps() + s_.of[0].split_tiles;
    return whole + (s_.product_of(whole) == 0 ? 0 : s_.of[1].split_tiles);
  }
  SRPO_DEVICE int steps() const { return end - begin; }
  /// Another group has the tile's beginning, and adds this part to it.
  SRPO_DEVICE bool is_continuation() const { return begin > 0; }
  SRPO_DEVICE int range() const {
    return s_.groups - 1 - opaque(static_cast<int>(blockIdx.x)) / Tile::kCluster;
  }
  /// Where this is the tile's beginning: how many of its steps other groups have.
  SRPO_DEVICE int left() const { return s_.of[s_.product_of(tile())].steps - steps(); }

 private:
  SRPO_DEVICE int until() const { return s_.range(range() + 1); }
  SRPO_DEVICE int last() const { return s_.split_steps() + s_.tiles() - s_.split_tiles(); }

  /// Where the part ends, among the steps of all split tiles; behind them, the next whole tile.
  SRPO_DEVICE int& place() const {
    return shared_memory<GemmShared<Tile>>().place[opaque(static_cast<int>(threadIdx.x))];
  }

  const GemmSchedule& s_;
};

}  // namespace srpo::cuda
