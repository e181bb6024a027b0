// Who multiplies what when a product, or two of them, run on blocks that stay: a group of blocks (a cluster,
// or one block) takes tiles one after the other.
//
//   tiles [product][batch][group of columns][row of tiles][column in the group]: a band of kBand tiles along
//   N is walked down M, so that what runs at one time shares few rows of B and few rows of A, both in L2.
//   The second product's tiles follow the first's: the round that ends the one begins the other.
//
// The first `split_tiles` of each product are cut along K instead, all of them together into one even range of
// steps for each group of blocks (stream-K), so that no group is idle in what would be the last, partial round:
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
constexpr int kMostProducts = 2;  // of one launch

/// What a schedule knows of one product.
struct GemmShare {
  int down = 0;         // tiles along M
  int steps = 0;        // of a tile, along K
  int split_tiles = 0;  // tiles that are cut along K, the first of them
};

struct GemmSchedule {
  GemmShare of[kMostProducts];  // the second without a tile where there is one product
  int across = 0;               // tiles along N, of each product
  int batch = 1;                // of one product; 1 where there are two
  int groups = 1;               // of blocks
  int each = 0, more = 0;       // steps of a range; the first `more` ranges have one more

  /// For `groups` groups, the first tiles of each product cut along K.
  void deal(int to_groups, int split_of_first, int split_of_second = 0) {
    groups = to_groups;
    of[0].split_tiles = split_of_first;
    of[1].split_tiles = split_of_second;
    each = split_steps() / groups;
    more = split_steps() % groups;
  }

  SRPO_HOST_DEVICE int tiles_of(int product) const { return of[product].down * across * batch; }
  SRPO_HOST_DEVICE int tiles() const { return tiles_of(0) + tiles_of(1); }
  SRPO_HOST_DEVICE int product_of(int tile) const { return tile < tiles_of(0) ? 0 : 1; }
  SRPO_HOST_DEVICE int split_tiles() const { return of[0].split_tiles + of[1].split_tiles; }
  SRPO_HOST_DEVICE int split_steps(int product) const {
    return of[product].split_tiles * of[product].steps;
  }
  SRPO_HOST_DEVICE int split_steps() const { return split_steps(0) + split_steps(1); }
  /// The first step of range r, counted over all split tiles.
  SRPO_HOST_DEVICE int range(int r) const { return each * r + (r < more ? r : more); }
};

struct TilePlace {
  int row, column, batch;  // in tiles
  int product;
};

SRPO_HOST_DEVICE inline TilePlace place_of(const GemmSchedule& s, int tile) {
  const int product = s.product_of(tile), down = s.of[product].down, each = down * s.across;
  const int in_product = tile - (product == 0 ? 0 : s.tiles_of(0));
  const int in_batch = in_product % each, band = in_batch / (down * kBand);
  const int left = s.across - band * kBand, width = left < kBand ? left : kBand;
  const int in_band = in_batch - band * down * kBand;
  return {in_band / width, band * kBand + in_band % width, in_product / each, product};
}

}  // namespace srpo::cuda
