// The product of conv2d_product.cu on Hopper's tensor cores, for bfloat16 channels in whole 16-byte packs.
//
// A tile is a box of pixels by a run of channels. Its rows along K are a tap and 64 input channels, and the
// copy engine brings them as they lie: the box shifted by the tap, zeros where it leaves the picture. Every
// other pixel of x (in_step 2) is a picture of its own, one for each parity of row and column, so that the
// boxes stay dense.
//
//   warp 8      loads panels of x and w, a ring of stages ahead
//   warps 0-7   two groups that multiply them, each half of the pixels by all channels
//   warp 9      brings the residual to where y will lie, and stores y, 64 channels at a time
//
// Two blocks make a cluster: neighbouring boxes, the same channels. Each loads half of w's panel into both,
// so that L2 hands out w once for two tiles; a stage is free when the consumers of both have released it.
//
// Sums run along K in order, in the accumulators: the same bits on every run. Not run on a card yet.

#include "cuda/common/cluster.cuh"
#include "cuda/common/launch.cuh"
#include "cuda/common/math.cuh"
#include "cuda/common/multiprocessors.h"
#include "cuda/common/tma.cuh"
#include "cuda/common/wgmma.cuh"
#include "cuda/conv/conv2d_sm90.cuh"

namespace srpo::cuda {
namespace {

constexpr int kThreads = kConsumers + 128;  // registers are dealt to groups of 128
constexpr int kRegisters = 232, kOthersRegisters = 40;

struct ConvMaps {
  TensorMap x[4];         // by parity of row and column, where only every other one is met
  TensorMap w;            // [N, taps, C]
  TensorMap y, residual;  // the phase's pixels; where y is stored in boxes
};

template <typename Tile>
SRPO_DEVICE void load_panels(typename Tile::Parts& parts, const ConvMaps& maps, const ConvPhase& p,
                             const ConvBoxes& boxes) {
  RingPlace<Tile::kStages> at(1);
  const int rank = cluster_rank(), clusters = static_cast<int>(gridDim.x) / boxes.blocks;
  const int bytes =
      boxes.height * boxes.width * kLineBytes + static_cast<int>(sizeof(parts.stages[0].w));
  constexpr int kChannels = sizeof(parts.stages[0].w) / kLineBytes, kHalf = kChannels / 2;
  const int halves = p.in_step == 2 ? 1 : 0;
  for (int i = static_cast<int>(blockIdx.x) / boxes.blocks; i < boxes.turns; i += clusters) {
    const ConvBoxes::Tile tile = boxes.tile(i, rank);
    const int n = tile.channels * kChannels;
    for (int tap = 0; tap < static_cast<int>(p.taps()); ++tap) {
      const int tap_y = static_cast<int>(p.tap_y(tap)), tap_x = static_cast<int>(p.tap_x(tap));
      const TensorMap& x = maps.x[halves * ((tap_y & 1) * 2 + (tap_x & 1))];
      const int row = tile.row * boxes.height + (tap_y >> halves);
      const int column = tile.column * boxes.width + (tap_x >> halves);
      for (int c = 0; c < static_cast<int>(p.C); c += kLine, at.advance()) {
        Mbarrier& full = parts.full[at.index];
        mbarrier_wait(parts.empty[at.index], at.parity);
        mbarrier_arrive_expect(full, bytes);
        tma_load(parts.stages[at.index].x, x, full, Coordinates{c, column, row, tile.picture});
        if (boxes.blocks == 1)
          tma_load(parts.stages[at.index].w, maps.w, full, Coordinates{c, tap, n});
        else
          tma_load_all(parts.stages[at.index].w[rank * kHalf], maps.w, full,
                       Coordinates{c, tap, n + rank * kHalf}, 3);
      }
    }
  }
}

template <typename Tile>
SRPO_DEVICE void move_chunks(typename Tile::Parts& parts, const ConvMaps& maps, const ConvPhase& p,
                             const ConvBoxes& boxes) {
  const int bytes = boxes.height * boxes.width * kLineBytes;
  const int rank = cluster_rank(), clusters = static_cast<int>(gridDim.x) / boxes.blocks;
  unsigned parity = 0;
  for (int i = static_cast<int>(blockIdx.x) / boxes.blocks; i < boxes.turns; i += clusters) {
    const ConvBoxes::Tile tile = boxes.tile(i, rank);
    const int n = tile.channels * Tile::kChunks * kLine;
    const int row = tile.row * boxes.height, column = tile.column * boxes.width;
    for (int c = 0; c < Tile::kChunks; ++c) {
      if (p.residual != nullptr && n + c * kLine < p.N) {
        mbarrier_arrive_expect(parts.ready[c], bytes);
        tma_load(parts.chunks[c], maps.residual, parts.ready[c],
                 Coordinates{n + c * kLine, column, row, tile.picture});
      } else {
        mbarrier_arrive(parts.ready[c]);
      }
    }
    for (int c = 0; c < Tile::kChunks; ++c) {
      mbarrier_wait(parts.staged[c], parity);
      if (n + c * kLine < p.N) {
        tma_store(maps.y, parts.chunks[c], Coordinates{n + c * kLine, column, row, tile.picture});
        bulk_commit();
      }
    }
    bulk_wait_read<0>();  // the chunks are free
    parity ^= 1;
  }
  bulk_wait<0>();
}

/// By one lane of each consumer warp: its products of the stage have ended.
template <typename Parts>
SRPO_DEVICE void release(Parts& parts, int stage, const ConvBoxes& boxes) {
  mbarrier_arrive(parts.empty[stage]);
  if (boxes.blocks > 1) mbarrier_arrive_remote(parts.empty[stage], cluster_rank() ^ 1);
}

template <int kBlocks, int kChannels, bool kBoxed>
SRPO_DEVICE void consume(typename ConvTile<kBlocks, kChannels>::Parts& parts, const ConvPhase& p,
                         const ConvBoxes& boxes) {
  using Tile = ConvTile<kBlocks, kChannels>;
  const int group_row = warp() / 4 * 64 * kBlocks;  // of the group's pixels in the box
  const int first_row = group_row + warp() % 4 * 16;
  const int clusters = static_cast<int>(gridDim.x) / boxes.blocks;
  const int panels = static_cast<int>(p.taps() * ceil_div(p.C, kLine));
  RingPlace<Tile::kStages> at(0);
  unsigned parity = 0;
  for (int i = static_cast<int>(blockIdx.x) / boxes.blocks; i < boxes.turns; i += clusters) {
    float sums[kBlocks][kChannels / 2];
    int before = 0;  // the stage whose products may still run
    for (int panel = 0; panel < panels; ++panel, at.advance()) {
      mbarrier_wait(parts.full[at.index], at.parity);
      auto& stage = parts.stages[at.index];
      wgmma_fence();
#pragma unroll
      for (int k = 0; k < kLineBytes; k += 32)
#pragma unroll
        for (int b = 0; b < kBlocks; ++b)
          wgmma<kChannels>(sums[b], wgmma_descriptor(stage.x[group_row + 64 * b] + k),
                           wgmma_descriptor(stage.w[0] + k), panel > 0 || k > 0);
      wgmma_commit();
      if (panel > 0) {
        wgmma_wait<1>();
        if (lane() == 0) release(parts, before, boxes);
      }
      before = at.index;
    }
    wgmma_wait<0>();
#pragma unroll
    for (int b = 0; b < kBlocks; ++b) wgmma_hold(sums[b]);
    if (lane() == 0) release(parts, before, boxes);

    const ConvBoxes::Tile tile = boxes.tile(i, cluster_rank());
    const int64_t n = int64_t{tile.channels} * kChannels;
    if constexpr (kBoxed) {
      const bool measured = p.statistics.parts != nullptr && tile.picture < boxes.pictures;
      unsigned inside = 0;
      if (measured) inside = pixels_inside<Tile::kPixels>(boxes, tile, p);
#pragma unroll
      for (int c = 0; c < Tile::kChunks; ++c) {
        mbarrier_wait(parts.ready[c], parity);
        if (n + c * kLine < p.N) {
          stage_chunk(parts.chunks[c], sums, c, first_row, n + c * kLine, p);
          fence_async();
          if (measured) {
            barrier_sync(kConsumerBarrier, kConsumers);
            const int64_t part = tile.picture * p.statistics.parts_of_picture +
                                 p.statistics.first_part + tile.row * boxes.across + tile.column;
            chunk_statistics<Tile::kPixels>(p.statistics, parts.chunks[c], inside, n + c * kLine,
                                            part, p);
            fence_async();  // what was read here by ordinary loads is written by the copy engine next
          }
        }
        mbarrier_arrive(parts.staged[c]);
      }
      parity ^= 1;
    } else {
      store_sums(sums, boxes, tile, first_row, n, p);
    }
  }
}

template <int kBlocks, int kChannels, bool kBoxed>
__global__ void __launch_bounds__(kThreads, 1)
    conv2d_sm90_kernel(const __grid_constant__ ConvMaps maps, const ConvPhase p,
                       const ConvBoxes boxes) {
  using Tile = ConvTile<kBlocks, kChannels>;
  auto& parts = shared_memory<typename Tile::Parts>();
  if (thread_rank() == 0) {
    for (int i = 0; i < Tile::kStages; ++i) {
      mbarrier_init(parts.full[i], 1);
      mbarrier_init(parts.empty[i], kConsumerWarps * boxes.blocks);
    }
    for (int c = 0; c < Tile::kChunks; ++c) {
      mbarrier_init(parts.ready[c], 1);
      mbarrier_init(parts.staged[c], kConsumers);
    }
    mbarrier_init_fence();
  }
  cluster_barrier();
  wait_for_earlier_kernel();
  if (warp() < kConsumerWarps) {
    take_registers<kRegisters>();
    consume<kBlocks, kChannels, kBoxed>(parts, p, boxes);
  } else {
    give_registers<kOthersRegisters>();
    if (warp() == kConsumerWarps && elect_one()) load_panels<Tile>(parts, maps, p, boxes);
    if (kBoxed && warp() == kConsumerWarps + 1 && elect_one())
      move_chunks<Tile>(parts, maps, p, boxes);
  }
  warp_barrier();
  cluster_barrier();  // the other block of the pair may still release stages here
}

ConvMaps maps_of(const ConvPhase& p, const ConvBoxes& boxes, int channels, bool boxed) {
  constexpr auto kType = DType::kBFloat16;
  ConvMaps maps = {};
  const auto* const x = static_cast<const bfloat16*>(p.x);
  const int64_t step = p.in_step;
  for (int64_t a = 0; a < step; ++a)
    for (int64_t b = 0; b < step; ++b)
      maps.x[2 * a + b] = tensor_map(x + (a * p.W + b) * p.C, kType,
                                     {p.C, ceil_div(p.W - b, step), ceil_div(p.H - a, step), p.B},
                                     {step * p.C, step * p.W * p.C, p.H * p.W * p.C},
                                     {kLine, boxes.width, boxes.height, 1}, Swizzle::k128);
  maps.w = tensor_map(p.w, kType, {p.C, p.taps(), p.N}, {p.C, p.taps() * p.C},
                      {kLine, 1, channels / boxes.blocks}, Swizzle::k128);
  if (!boxed) return maps;
  const auto of_phase = [&](const void* data) {
    return tensor_map(static_cast<const bfloat16*>(data) + (p.out_y * p.Wo + p.out_x) * p.N, kType,
                      {p.N, p.columns, p.rows, p.B},
                      {p.out_step * p.N, p.out_step * p.Wo * p.N, p.Ho * p.Wo * p.N},
                      {kLine, boxes.width, boxes.height, 1}, Swizzle::k128);
  };
  maps.y = of_phase(p.y);
  if (p.residual != nullptr) maps.residual = of_phase(p.residual);
  return maps;
}

bool is_boxed(const ConvPhase& p) {
  return packs<bfloat16>(p.y, p.N) && packs<bfloat16>(p.residual);
}

ConvChoice choice_of(const ConvPhase& p, Stream& stream) {
  return choose_tiles(p.rows, p.columns, p.B, p.N, is_boxed(p), multiprocessors(stream));
}

}  // namespace

bool conv2d_sm90_takes(const ConvPhase& p, DType dtype) {
  constexpr int64_t kMost = int64_t{1} << 29;  // places in a picture are ints
  return dtype == DType::kBFloat16 && p.taps() > 0 && p.in_step <= 2 && p.H >= p.in_step &&
         p.W >= p.in_step && p.H < kMost && p.W < kMost && p.rows < kMost && p.columns < kMost &&
         p.taps() < kMost && p.pixels() * ceil_div(p.N, kLine) < kMost &&
         packs<bfloat16>(p.x, p.C) && packs<bfloat16>(p.w);
}

int64_t conv2d_sm90_parts(const ConvPhase& p, Stream& stream) {
  if (!is_boxed(p)) return 0;
  const ConvBoxes boxes = choice_of(p, stream).boxes;
  return int64_t{boxes.across} * boxes.down;
}

void conv2d_sm90(const ConvPhase& p, Stream& stream) {
  const bool boxed = is_boxed(p);
  const ConvChoice choice = choice_of(p, stream);
  const auto run = [&]<int kBlocks, int kChannels, bool kBoxed>() {
    const int64_t blocks = choice.boxes.blocks, most = multiprocessors(stream) / blocks;
    launch(conv2d_sm90_kernel<kBlocks, kChannels, kBoxed>,
           {.grid = (choice.boxes.turns < most ? choice.boxes.turns : most) * blocks,
            .block = kThreads,
            .shared = sizeof(typename ConvTile<kBlocks, kChannels>::Parts),
            .cluster = blocks,
            .stream = stream},
           maps_of(p, choice.boxes, kChannels, boxed), p, choice.boxes);
  };
  if (!boxed) return run.template operator()<2, 64, false>();
  if (choice.kind == 0) return run.template operator()<1, 256, true>();
  if (choice.kind == 1) return run.template operator()<2, 128, true>();
  if (choice.kind == 2) return run.template operator()<1, 128, true>();
  run.template operator()<2, 64, true>();
}

}  // namespace srpo::cuda
