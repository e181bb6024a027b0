// What the warps of conv2d_sm90.cu share, and what the two groups of consumers do when a tile's sums are
// complete: bias, residual, statistics of the channels, and the way to memory.
#pragma once
#include "cuda/common/barrier.cuh"
#include "cuda/common/dtype.cuh"
#include "cuda/common/matrix.cuh"
#include "cuda/common/mbarrier.cuh"
#include "cuda/common/shared.cuh"
#include "cuda/conv/conv2d_boxes.h"
#include "cuda/conv/conv2d_product.h"

namespace srpo::cuda {

constexpr int kConsumers = 256;  // threads; a group with the warps that load and store follows
constexpr int kConsumerWarps = kConsumers / kWarp;
constexpr int kLine = 64;  // channels of a row in shared memory: 128 bytes
constexpr int kLineBytes = 2 * kLine;
constexpr int kConsumerBarrier = 1;

/// A tile: 64 * kBlocks pixels for each of the two groups, by kChannels.
template <int kBlocks, int kChannels>
struct ConvTile {
  static constexpr int kPixels = 128 * kBlocks;
  static constexpr int kChunks = kChannels / kLine;  // of y, stored one by one
  struct Stage {
    unsigned char x[kPixels][kLineBytes];
    unsigned char w[kChannels][kLineBytes];
  };
  using Chunk = unsigned char[kPixels][kLineBytes];
  static constexpr int kStages = [] {
    const int left = kMostShared - kChunks * kPixels * kLineBytes - 512;
    const int fit = left / static_cast<int>(sizeof(Stage));
    return fit < 6 ? fit : 6;
  }();
  struct Parts {
    Stage stages[kStages];
    Chunk chunks[kChunks];
    Mbarrier full[kStages], empty[kStages];
    Mbarrier ready[kChunks];   // the residual is there, or the chunk is free
    Mbarrier staged[kChunks];  // y is there
  };
  static_assert(kStages >= 3 && sizeof(Parts) <= kMostShared);
};

/// Piece `piece` (8 channels) of a row under the 128-byte swizzle.
SRPO_DEVICE unsigned char* piece_of(unsigned char (*rows)[kLineBytes], int row, int piece) {
  return &rows[row][(piece ^ (row & 7)) * 16];
}

/// The sums of a group's pixels [64 * kBlocks, kLine of kChannels from `chunk` on] with bias, and with the
/// residual that lies where y goes, to `rows`.
template <int kBlocks, int kSums>
SRPO_DEVICE void stage_chunk(unsigned char (*rows)[kLineBytes], const float (&sums)[kBlocks][kSums],
                             int chunk, int first_row, int64_t first_channel, const ConvPhase& p) {
  const auto* const bias = static_cast<const bfloat16*>(p.bias);
#pragma unroll
  for (int k = 0; k < kLine / 16; ++k) {
    float shift[4] = {};  // of this thread's columns: two, and two 8 further
    if (bias != nullptr) {
#pragma unroll
      for (int j = 0; j < 4; ++j) {
        const int64_t n = first_channel + 16 * k + j / 2 * 8 + lane() % 4 * 2 + j % 2;
        if (n < p.N) shift[j] = float(bias[n]);
      }
    }
#pragma unroll
    for (int i = 0; i < kBlocks; ++i) {
      const int row = first_row + 64 * i + lane() % 16;
      unsigned char* const at = piece_of(rows, row, 2 * k + lane() / 16);
      float v[8];
#pragma unroll
      for (int j = 0; j < 8; ++j)
        v[j] = sums[i][chunk * (kLine / 2) + 8 * k + j] + shift[j / 4 * 2 + j % 2];
      if (p.residual != nullptr) {
        unsigned more[4];
        load_matrices(more, at);
#pragma unroll
        for (int j = 0; j < 4; ++j) {
          v[2 * j] += bits_as<float>(more[j] << 16);
          v[2 * j + 1] += bits_as<float>(more[j] & 0xffff0000u);
        }
      }
      const unsigned packed[4] = {pack_bfloat16(v[0], v[1]), pack_bfloat16(v[2], v[3]),
                                  pack_bfloat16(v[4], v[5]), pack_bfloat16(v[6], v[7])};
      store_matrices(at, packed);
    }
  }
}

/// Which of a box's rows of this lane (lane, lane + 32, ...) are pixels of the picture: a bit each.
template <int kPixels>
SRPO_DEVICE unsigned pixels_inside(const ConvBoxes& boxes, const ConvBoxes::Tile& tile,
                                   const ConvPhase& p) {
  unsigned inside = 0;
#pragma unroll
  for (int i = 0; i < kPixels / kWarp; ++i) {
    const unsigned row = static_cast<unsigned>(lane() + i * kWarp);
    const unsigned y = row / static_cast<unsigned>(boxes.width), x = row % boxes.width;
    if (y < static_cast<unsigned>(boxes.height) && tile.row * boxes.height + int(y) < p.rows &&
        tile.column * boxes.width + int(x) < p.columns)
      inside |= 1u << i;
  }
  return inside;
}

/// Mean and squared deviation of runs of 4 or 8 channels of y as it is stored, over the pixels of a box: a
/// warp for each piece of the chunk. Taken about the run's first value, where E[y^2] - mean^2 would cancel.
template <int kPixels>
SRPO_DEVICE void chunk_statistics(const ConvStatistics& s, unsigned char (*rows)[kLineBytes],
                                  unsigned inside, int64_t first_channel, int64_t part,
                                  const ConvPhase& p) {
  const int piece = warp();
  const int64_t channel = first_channel + piece * 8;
  if (channel >= p.N) return;
  const auto* const first = reinterpret_cast<const bfloat16*>(piece_of(rows, 0, piece));
  const float low = float(first[0]), high = s.run == 4 ? float(first[4]) : low;
  float sums[2][2] = {},
        count = 0.f;  // of the distances and their squares, in the first and last four
#pragma unroll
  for (int i = 0; i < kPixels / kWarp; ++i) {
    if ((inside >> i & 1) == 0) continue;
    float v[8];
    load_pack(v, reinterpret_cast<const bfloat16*>(piece_of(rows, lane() + i * kWarp, piece)));
    count += 1.f;
#pragma unroll
    for (int j = 0; j < 8; ++j) {
      const float distance = v[j] - (j < 4 ? low : high);
      sums[j / 4][0] += distance;
      sums[j / 4][1] += distance * distance;
    }
  }
  count = warp_sum(count);
#pragma unroll
  for (int j = 0; j < 2; ++j)
#pragma unroll
    for (int k = 0; k < 2; ++k) sums[j][k] = warp_sum(sums[j][k]);
  if (lane() != 0) return;
  if (s.run == 8)
    for (int k = 0; k < 2; ++k) sums[0][k] += sums[1][k];
  const float n = count * static_cast<float>(s.run);
  float* const to = s.parts + (part * p.N + channel) / s.run * 2;
#pragma unroll
  for (int j = 0; j < 2; ++j) {
    if (j * s.run >= 8) break;
    const float mean = sums[j][0] / n;
    to[2 * j] = (j == 0 ? low : high) + mean;
    to[2 * j + 1] = fmaxf(0.f, sums[j][1] - sums[j][0] * mean);
  }
  s.pixels[part] = count;  // the same from every warp
}

/// The sums to y where it is not made of whole packs: one by one.
template <int kBlocks, int kSums>
SRPO_DEVICE void store_sums(const float (&sums)[kBlocks][kSums], const ConvBoxes& boxes,
                            const ConvBoxes::Tile& tile, int first_row, int64_t first_channel,
                            const ConvPhase& p) {
  const auto *bias = static_cast<const bfloat16*>(p.bias),
             *residual = static_cast<const bfloat16*>(p.residual);
#pragma unroll
  for (int i = 0; i < kBlocks; ++i)
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const unsigned row = static_cast<unsigned>(first_row + 64 * i + 8 * half + lane() / 4);
      const unsigned y = row / static_cast<unsigned>(boxes.width), x = row % boxes.width;
      const ConvPixel at{tile.picture, tile.row * boxes.height + int64_t{y},
                         tile.column * boxes.width + int64_t{x}};
      if (y >= static_cast<unsigned>(boxes.height) || at.b >= p.B || at.i >= p.rows ||
          at.j >= p.columns)
        continue;
      const int64_t to = p.place(at) * p.N;
#pragma unroll
      for (int j = 0; j < kSums / 2; ++j) {
        const int64_t n = first_channel + j / 2 * 8 + lane() % 4 * 2 + j % 2;
        if (n >= p.N) continue;
        float sum = sums[i][j / 2 * 4 + 2 * half + j % 2];
        if (bias != nullptr) sum += float(bias[n]);
        if (residual != nullptr) sum += float(residual[to + n]);
        static_cast<bfloat16*>(p.y)[to + n] = bfloat16(sum);
      }
    }
}

}  // namespace srpo::cuda
