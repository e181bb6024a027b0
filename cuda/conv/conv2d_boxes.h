// Which pixels and channels a block of conv2d_sm90.cu takes at once: chosen on the host, by sizes and the
// number of multiprocessors.
#pragma once
#include <cstdint>

#include "cuda/common/target.cuh"

namespace srpo::cuda {

/// A picture's [rows, columns] cut into boxes of `height` x `width` pixels, the last ones ragged, and its
/// channels into `channels` runs. A cluster of `blocks` (1 or 2) takes so many boxes at once, one a block, of
/// the same channels. Turns are counted channels first, so that those which read the same pixels run side by
/// side; then along a row of boxes, rows, pictures.
struct ConvBoxes {
  int height, width;  // of a box
  int down, across;   // boxes of a picture
  int channels, pictures;
  int blocks, turns;

  struct Tile {
    int channels, column, row, picture;
  };
  /// Past the last box the picture is one that is not there: nothing but zeros, and nothing is stored.
  SRPO_HOST_DEVICE Tile tile(int turn, int rank) const {
    const int box = turn / channels * blocks + rank;
    return {turn % channels, box % across, box / across % down, box / (across * down)};
  }
};

/// The fewest boxes of at most `pixels` that cover a picture; of those the most square ones, whose taps
/// reach the fewest pixels outside.
inline ConvBoxes conv_boxes(int64_t rows, int64_t columns, int64_t pictures, int64_t channels,
                            int64_t pixels) {
  constexpr int64_t kMostSide = 256;  // of a box that the copy engine moves
  ConvBoxes best = {};
  int64_t fewest = 0, squarest = 0;
  for (int64_t width = 1; width <= columns && width <= pixels && width <= kMostSide; ++width) {
    int64_t height = pixels / width;
    if (height > rows) height = rows;
    if (height > kMostSide) height = kMostSide;
    const int64_t across = ceil_div(columns, width), down = ceil_div(rows, height);
    const int64_t least_side = width < height ? width : height;
    if (fewest != 0 &&
        (across * down > fewest || (across * down == fewest && least_side <= squarest)))
      continue;
    fewest = across * down;
    squarest = least_side;
    best.height = static_cast<int>(height);
    best.width = static_cast<int>(width);
    best.down = static_cast<int>(down);
    best.across = static_cast<int>(across);
  }
  best.channels = static_cast<int>(channels);
  best.pictures = static_cast<int>(pictures);
  best.blocks = fewest * pictures > 1 ? 2 : 1;
  best.turns = static_cast<int>(ceil_div(fewest * pictures, best.blocks) * channels);
  return best;
}

/// Tiles of the kernel, in the order of preference among equals.
struct ConvTileKind {
  int blocks;    // of 64 pixels, for each of the two warpgroups
  int channels;  // of a tile
  double price;  // of a product in it, against the first: small tiles load more for each
};
/// A block of a pair loads 32, 40, 48 and 72 KB, x and half of w, for what is 64 deep of 128 x 256 products.
constexpr ConvTileKind kConvTileKinds[] = {
    {1, 256, 1.0}, {2, 128, 1.02}, {1, 128, 1.2}, {2, 64, 1.4}};

struct ConvChoice {
  int kind;  // of kConvTileKinds
  ConvBoxes boxes;
};

/// The kind that is done first: by its waves over the multiprocessors, its size and its price. Where y does
/// not lie in whole packs the last kind alone is there.
inline ConvChoice choose_tiles(int64_t rows, int64_t columns, int64_t pictures, int64_t channels,
                               bool boxed, int multiprocessors) {
  constexpr int kKinds = sizeof(kConvTileKinds) / sizeof(kConvTileKinds[0]);
  ConvChoice best = {-1, {}};
  double least = 0;
  for (int kind = boxed ? 0 : kKinds - 1; kind < kKinds; ++kind) {
    const ConvTileKind& k = kConvTileKinds[kind];
    const ConvBoxes boxes = conv_boxes(rows, columns, pictures, ceil_div(channels, k.channels),
                                       int64_t{128} * k.blocks);
    const int64_t clusters = multiprocessors < boxes.blocks ? 1 : multiprocessors / boxes.blocks;
    const double cost =
        static_cast<double>(ceil_div(boxes.turns, clusters)) * k.blocks * k.channels * k.price;
    if (best.kind >= 0 && cost >= least) continue;
    least = cost;
    best = {kind, boxes};
  }
  return best;
}

}  // namespace srpo::cuda
