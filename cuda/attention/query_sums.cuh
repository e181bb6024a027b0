// dq of attention backward where the blocks of threads each have keys of their own: every one adds its part to
// every tile of queries, in float, in an order that is always the same.
//
// The block of key tile n begins at query tile floor(n M / count) and goes round all M, so that at any moment
// the blocks of a head are at different tiles. A tile takes its parts in the order in which they are due; two
// that are due together, the higher n first. A block then waits for those only that are due before it, and
// none waits for ever if all blocks of a head run at once. A count a tile says how many it has taken.
#pragma once
#include "cuda/common/target.cuh"

namespace srpo::cuda::attention {

struct QueryTurns {
  unsigned query_tiles;  // M
  unsigned key_tiles;    // few: M times it stays below 2^32

  /// Where key tile n begins.
  SRPO_DEVICE unsigned first(unsigned n) const { return n * query_tiles / key_tiles; }
  /// The query tile behind another.
  SRPO_DEVICE unsigned next(unsigned tile) const { return tile + 1 == query_tiles ? 0 : tile + 1; }
  /// How many parts a query tile takes before that of key tile n.
  SRPO_DEVICE unsigned rank(unsigned n, unsigned tile) const {
    // Key tiles that begin here or before it: the higher the later. Then those that have gone round.
    const unsigned direct = ((tile + 1) * key_tiles + query_tiles - 1) / query_tiles;
    return n < direct ? direct - 1 - n : direct + key_tiles - 1 - n;
  }
};

/// How a tile of the sums lies, in shared and in global memory: as a warpgroup holds dq^T, so that a thread
/// moves four floats at a time. Channel 64 group + 16 w + 8 h + g and query 8 j + 2 p + e are at
/// [group][j][32 w + 4 g + p][2 h + e].
template <int kQueries>
using QuerySums = float[2][kQueries / 8][128][4];

}  // namespace srpo::cuda::attention
