// Who multiplies what when a product runs on blocks that stay: a group of blocks (a cluster, or one block)
// takes tiles one after the other.
//
//   tiles [batch][group of columns][row of tiles][column in the group]: a band of kBand tiles along N is
//   walked down M, so that what runs at one time shares few rows of B and few rows of A, both in L2.
//
// The first `split_tiles` of them are cut along K instead, into one even range of steps for each group of
// blocks (stream-K), so that no group is idle in what would be the last, partial round:
//
//   group 0 |-- tile 0 --|-- tile 1 ..        a group's first part may lack the beginning of its tile:
//   group 1              .. --|-- tile 2 --|  it goes to a workspace, and the group that has the tile's
//   group 2                    ..             beginning adds the parts up, in the order of K
//
// Ranges are given from the last group to the first: whoever waits, waits for a block of lower number,
// which the card has started before. All that decides the bits is in this struct.
#pragma once
#include "cuda/common/target.cuh"

namespace srpo::cuda {

constexpr int kBand = 8;

struct GemmSchedule {
  int down = 0, across = 0;  // tiles along M and N
  int batch = 1;
  int steps = 0;        // of a tile along K
  int groups = 1;       // of blocks
  int split_tiles = 0;  // tiles that are cut along K

  SRPO_HOST_DEVICE int tiles() const { return down * across * batch; }
  /// The first step of range r, counted over all split tiles.
  SRPO_HOST_DEVICE int range(int r) const {
    return static_cast<int>(int64_t{split_tiles} * steps * r / groups);
  }
};

struct TilePlace {
  int row, column, batch;  // in tiles
};

SRPO_HOST_DEVICE inline TilePlace place_of(const GemmSchedule& s, int tile) {
  const int each = s.down * s.across;
  const int in_batch = tile % each, band = in_batch / (s.down * kBand);
  const int left = s.across - band * kBand, width = left < kBand ? left : kBand;
  const int in_band = in_batch - band * s.down * kBand;
  return {in_band / width, band * kBand + in_band % width, tile / each};
}

/// The parts of tiles that a group of blocks multiplies, in order:
///   for (GemmParts part(schedule, group); part.next();) ... part.tile, part.begin, part.end
class GemmParts {
 public:
  int tile = 0, begin = 0, end = 0;  // steps [begin, end) of the tile

  SRPO_HOST_DEVICE GemmParts(const GemmSchedule& schedule, int group)
      : schedule_(schedule),
        range_(schedule.groups - 1 - group),
        at_(schedule.range(range_)),
        until_(schedule.range(range_ + 1)),
        whole_(schedule.split_tiles + range_) {}

  SRPO_HOST_DEVICE bool next() {
    if (at_ < until_) {
      tile = at_ / schedule_.steps;
      begin = at_ % schedule_.steps;
      end = begin + until_ - at_;
      if (end > schedule_.steps) end = schedule_.steps;
      at_ += end - begin;
      return true;
    }
    if (whole_ >= schedule_.tiles()) return false;
    tile = whole_;
    begin = 0;
    end = schedule_.steps;
    whole_ += schedule_.groups;
    return true;
  }
  SRPO_HOST_DEVICE bool has_next() const { return at_ < until_ || whole_ < schedule_.tiles(); }

  SRPO_HOST_DEVICE int steps() const { return end - begin; }
  /// Another group has the tile's beginning, and adds this part to it.
  SRPO_HOST_DEVICE bool is_continuation() const { return begin > 0; }
  SRPO_HOST_DEVICE int range() const { return range_; }

 private:
  const GemmSchedule& schedule_;
  int range_, at_, until_, whole_;
};

}  // namespace srpo::cuda
