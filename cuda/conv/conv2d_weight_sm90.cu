// The weight gradient of a convolution on Hopper's tensor cores, for bfloat16:
//
//   dw[n, tap, c] += sum over pixels p of dy[p, n] * x[p at tap, c]
//
// A block has one tap, 128 channels n and up to 256 channels c, and walks a run of boxes of 64 pixels of y:
// the copy engine brings dy there and x shifted by the tap, zeros from outside, and wgmma takes both as they
// lie, pixels along K. On a doubled picture the boxes go through its four phases, at stride 2 through x's
// four parities. The runs' sums are added up in order: the same bits on every run. Not run on a card yet.

#include "cpp/ops/conv/conv2d_plan.h"
#include "cuda/common/barrier.cuh"
#include "cuda/common/launch.cuh"
#include "cuda/common/multiprocessors.h"
#include "cuda/common/shared.cuh"
#include "cuda/common/tma.cuh"
#include "cuda/common/warp.cuh"
#include "cuda/common/wgmma.cuh"
#include "cuda/conv/conv2d_pack.h"
#include "cuda/conv/conv2d_product.h"

namespace srpo::cuda {
namespace {

constexpr int kPixels = 64;  // of a box
constexpr int kLine = 64;    // channels of a row in shared memory: 128 bytes
constexpr int kGroups = 2;   // of 128 threads, each 64 channels n
constexpr int kConsumerWarps = kGroups * 4;
constexpr int kThreads = (kConsumerWarps + 1) * kWarp;  // and a warp that loads

struct WeightMaps {
  TensorMap dy[4];  // by phase of row and column
  TensorMap x[4];   // by parity
};

struct WeightProduct {
  int64_t N, C;
  int taps, kw;
  int phases, pictures;  // phases each way
  int stride, top, left, doubled;
  int height = 0, width = 0, down = 0, across = 0;  // boxes of a phase
  int boxes = 0, boxes_of_run = 0;                  // of all phases and pictures
};

/// kParts: 64 channels c each.
template <int kParts>
struct WeightStages {
  struct Stage {
    unsigned char dy[kGroups][kPixels][2 * kLine];
    unsigned char x[kParts][kPixels][2 * kLine];
  };
  static constexpr int kStages = 4;
  Stage stages[kStages];
  Mbarrier full[kStages], empty[kStages];
};

template <int kParts>
SRPO_DEVICE void load_boxes(WeightStages<kParts>& parts, const WeightMaps& maps,
                            const WeightProduct& p, int tap, int n, int c, int begin, int end) {
  RingPlace<WeightStages<kParts>::kStages> at(1);
  const int r = tap / p.kw, s = tap % p.kw, halves = p.stride == 2 ? 1 : 0;
  for (int i = begin; i < end; ++i, at.advance()) {
    const int column = i % p.across * p.width, row = i / p.across % p.down * p.height;
    const int of_phase = i / (p.across * p.down);
    const int picture = of_phase % p.pictures, phase = of_phase / p.pictures;
    const int a = phase / p.phases, b = phase % p.phases;
    const int y = (a * p.stride + r - p.top) >> p.doubled;
    const int x = (b * p.stride + s - p.left) >> p.doubled;
    auto& stage = parts.stages[at.index];
    Mbarrier& full = parts.full[at.index];
    mbarrier_wait(parts.empty[at.index], at.parity);
    mbarrier_arrive_expect(full, static_cast<int>(sizeof(stage)));
    for (int k = 0; k < kGroups; ++k)
      tma_load(stage.dy[k], maps.dy[2 * a + b], full,
               Coordinates{n + k * kLine, column, row, picture});
    const TensorMap& of_x = maps.x[halves * ((y & 1) * 2 + (x & 1))];
    for (int k = 0; k < kParts; ++k)
      tma_load(stage.x[k], of_x, full,
               Coordinates{c + k * kLine, column + (x >> halves), row + (y >> halves), picture});
  }
}

/// parts [runs, N, taps, C]
template <int kParts>
__global__ void __launch_bounds__(kThreads, 1)
    conv2d_weight_sm90_kernel(float* out, const __grid_constant__ WeightMaps maps,
                              const WeightProduct p) {
  using Stages = WeightStages<kParts>;
  auto& parts = shared_memory<Stages>();
  if (thread_rank() == 0) {
    for (int i = 0; i < Stages::kStages; ++i) {
      mbarrier_init(parts.full[i], 1);
      mbarrier_init(parts.empty[i], kConsumerWarps);
    }
    mbarrier_init_fence();
  }
  block_barrier();
  wait_for_earlier_kernel();
  const int tap = static_cast<int>(blockIdx.x) % p.taps;
  const int c = static_cast<int>(blockIdx.x) / p.taps * kParts * kLine;
  const int n = static_cast<int>(blockIdx.y) * kGroups * kLine;
  const int begin = static_cast<int>(blockIdx.z) * p.boxes_of_run;
  const int end = begin + p.boxes_of_run < p.boxes ? begin + p.boxes_of_run : p.boxes;
  if (warp() == kConsumerWarps) {
    if (elect_one()) load_boxes<kParts>(parts, maps, p, tap, n, c, begin, end);
    return;
  }

  const int group = warp() / 4;
  float sums[kParts * kLine / 2];
  RingPlace<Stages::kStages> at(0);
  int before = 0;  // the stage whose products may still run
  for (int i = begin; i < end; ++i, at.advance()) {
    mbarrier_wait(parts.full[at.index], at.parity);
    auto& stage = parts.stages[at.index];
    wgmma_fence();
#pragma unroll
    for (int k = 0; k < kPixels; k += 16)
      wgmma<kParts * kLine, Major::kMN, Major::kMN>(
          sums, wgmma_descriptor(stage.dy[group][k]),
          wgmma_descriptor(stage.x[0][k], 1024, sizeof(stage.x[0])), i > begin || k > 0);
    wgmma_commit();
    if (i > begin) {
      wgmma_wait<1>();
      if (lane() == 0) mbarrier_arrive(parts.empty[before]);
    }
    before = at.index;
  }
  wgmma_wait<0>();
  wgmma_hold(sums);
#pragma unroll
  for (int j = 0; j < kParts * kLine / 2; ++j) {
    const int64_t to_n = n + group * 64 + warp() % 4 * 16 + j / 2 % 2 * 8 + lane() / 4;
    const int64_t to_c = c + j / 4 * 8 + lane() % 4 * 2 + j % 2;
    if (to_n < p.N && to_c < p.C)
      out[((blockIdx.z * p.N + to_n) * p.taps + tap) * p.C + to_c] = sums[j];
  }
}

/// Every `step`-th pixel both ways of pictures [B, H, W, C], from (a, b) on, in boxes.
TensorMap pixels_map(const void* data, int64_t B, int64_t H, int64_t W, int64_t C, int64_t step,
                     int64_t a, int64_t b, const WeightProduct& p) {
  return tensor_map(static_cast<const bfloat16*>(data) + (a * W + b) * C, DType::kBFloat16,
                    {C, ceil_div(W - b, step), ceil_div(H - a, step), B},
                    {step * C, step * W * C, H * W * C}, {kLine, p.width, p.height, 1},
                    Swizzle::k128);
}

/// Runs of boxes that keep the multiprocessors busy, few enough to add up.
int runs_of(int64_t tiles, int64_t boxes, int multiprocessors) {
  constexpr int kMost = 64;
  constexpr double kPrice = 0.004;  // of a run, in shares of the whole
  int best = 1;
  double most = 0;
  for (int runs = 1; runs <= kMost && runs <= boxes; ++runs) {
    const int64_t waves = ceil_div(tiles * runs, multiprocessors);
    const double share =
        static_cast<double>(tiles * runs) / static_cast<double>(waves * multiprocessors) -
        kPrice * runs;
    if (share <= most) continue;
    most = share;
    best = runs;
  }
  return best;
}

}  // namespace

bool conv2d_weight_sm90_takes(const Conv2dBackward& op) {
  constexpr int64_t kMost = int64_t{1} << 28;  // places in a picture are ints
  const int64_t phases = op.geometry.upsample ? 2 : 1;
  const int64_t Ho = op.dy.dim(1), Wo = op.dy.dim(2);
  const int64_t pixels = op.x.dim(0) * (op.x.dim(1) * op.x.dim(2) + (Ho + 128) * (Wo + 128));
  return op.x.dtype == DType::kBFloat16 && op.geometry.stride <= 2 &&
         op.x.dim(1) >= op.geometry.stride && op.x.dim(2) >= op.geometry.stride && Ho >= phases &&
         Wo >= phases && pixels < kMost && op.geometry.top < kMost && op.geometry.left < kMost &&
         op.w.dim(1) * op.w.dim(2) < 65536;
}

void conv2d_weight_sm90(const Conv2dBackward& op, Stream& stream) {
  const auto [B, H, W, C] = op.x.sizes<4>();
  const auto [same, Ho, Wo, N] = op.dy.sizes<4>();
  const Conv2dGeometry& g = op.geometry;
  const int64_t phases = g.upsample ? 2 : 1;
  WeightProduct p{.N = N,
                  .C = C,
                  .taps = static_cast<int>(op.w.dim(1) * op.w.dim(2)),
                  .kw = static_cast<int>(op.w.dim(2)),
                  .phases = static_cast<int>(phases),
                  .pictures = static_cast<int>(B),
                  .stride = static_cast<int>(g.stride),
                  .top = static_cast<int>(g.top),
                  .left = static_cast<int>(g.left),
                  .doubled = g.upsample ? 1 : 0};
  for (int width = 64, fewest = 0; width >= 1; width /= 2) {  // the fewest boxes, then the squarest
    const auto across = static_cast<int>(ceil_div(ceil_div(Wo, phases), width));
    const auto down = static_cast<int>(ceil_div(ceil_div(Ho, phases), kPixels / width));
    if (fewest != 0 && (across * down > fewest || (across * down == fewest && width < 8))) continue;
    fewest = across * down;
    p.width = width;
    p.height = kPixels / width;
    p.across = across;
    p.down = down;
  }
  p.boxes = static_cast<int>(phases * phases * B) * p.across * p.down;

  WeightMaps maps = {};
  const void* const x = pack_pixels(op.x.pointer, B * H * W, C, stream);
  const void* const dy = pack_pixels(op.dy.pointer, B * Ho * Wo, N, stream);
  for (int64_t a = 0; a < g.stride; ++a)
    for (int64_t b = 0; b < g.stride; ++b)
      maps.x[2 * a + b] = pixels_map(x, B, H, W, packed_channels(C), g.stride, a, b, p);
  for (int64_t a = 0; a < phases; ++a)
    for (int64_t b = 0; b < phases; ++b)
      maps.dy[2 * a + b] = pixels_map(dy, B, Ho, Wo, packed_channels(N), phases, a, b, p);

  const auto run = [&, N = N, C = C]<int kParts>() {
    const int64_t across = ceil_div(C, kParts * kLine) * p.taps;
    const int64_t down = ceil_div(N, kGroups * kLine);
    const int runs = runs_of(across * down, p.boxes, multiprocessors(stream));
    p.boxes_of_run = static_cast<int>(ceil_div(p.boxes, runs));
    const int64_t count = ceil_div(p.boxes, p.boxes_of_run), size = op.dw.numel();
    float* const parts = scratch<float>(stream, count * size);
    launch(conv2d_weight_sm90_kernel<kParts>,
           {.grid = {across, down, count},
            .block = kThreads,
            .shared = sizeof(WeightStages<kParts>),
            .stream = stream},
           parts, maps, p);
    add_weight_parts(op.dw.data<float>(), parts, count, size, stream);
  };
  if (C <= 64) return run.template operator()<1>();
  if (C <= 128) return run.template operator()<2>();
  run.template operator()<4>();
}

}  // namespace srpo::cuda
