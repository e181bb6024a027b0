// The product of conv2d_product.cu on the tensor cores, a warp at a time, for bfloat16 channels in whole
// 16-byte packs: tiles of 128 pixels by 128 channels, panels of 64 input channels of one tap, copied in
// the background three panels ahead. Eight warps have 64 x 32 sums each.
//
// A panel's row is 128 bytes, its 16-byte pieces permuted by the row, so that neither the copies nor
// load_matrices meet in a bank.

#include "cuda/common/barrier.cuh"
#include "cuda/common/dtype.cuh"
#include "cuda/common/launch.cuh"
#include "cuda/common/matrix.cuh"
#include "cuda/common/shared.cuh"
#include "cuda/conv/conv2d_product.h"

namespace srpo::cuda {
namespace {

constexpr int kSide = 128;  // pixels and channels of a tile
constexpr int kDepth = 64;  // input channels of a panel
constexpr int kPiece = 8;   // elements that a copy takes
constexpr int kPieces = kDepth / kPiece;
constexpr int kStages = 4;
constexpr int kThreads = 256;
constexpr int kLines = kThreads / kPieces;  // rows of a panel that the threads copy at once
constexpr int kCopies = kSide / kLines;     // of a thread, for each operand
constexpr int kWarpPixels = 64, kWarpChannels = 32;
constexpr int kDown = kWarpPixels / 16, kAcross = kWarpChannels / 8;  // products of a warp
constexpr int kPadded = kSide + 4;

struct Panel {
  uint16_t rows[kSide][kDepth];
};
struct Stages {
  Panel x[kStages], w[kStages];
};
union Parts {
  Stages stages;
  float sums[kSide][kPadded];  // when all panels are done
};

/// Piece `piece` of a row; `eighth` is the row's number modulo 8.
SRPO_DEVICE uint16_t* piece_of(Panel& panel, int row, int eighth, int piece) {
  return &panel.rows[row][(piece ^ eighth) * kPiece];
}

SRPO_DEVICE void multiply_panels(float (&sums)[kDown][kAcross][4], Panel& x, Panel& w, int pixel,
                                 int channel) {
  const int eighth = lane() % 8;  // of all rows that this lane names
#pragma unroll
  for (int k = 0; k < kPieces; k += 2) {
    unsigned a[kDown][4], b[kAcross / 2][4];
#pragma unroll
    for (int i = 0; i < kDown; ++i)
      load_matrices(a[i], piece_of(x, pixel + 16 * i + lane() % 16, eighth, k + lane() / 16));
#pragma unroll
    for (int j = 0; j < kAcross / 2; ++j)
      load_matrices(b[j], piece_of(w, channel + 16 * j + lane() / 16 * 8 + eighth, eighth,
                                   k + lane() / 8 % 2));
#pragma unroll
    for (int i = 0; i < kDown; ++i)
#pragma unroll
      for (int j = 0; j < kAcross; ++j) {
        const unsigned pair[2] = {b[j / 2][j % 2 * 2], b[j / 2][j % 2 * 2 + 1]};
        multiply_add(sums[i][j], a[i], pair);
      }
  }
}

__global__ void __launch_bounds__(kThreads) conv2d_mma_kernel(const ConvPhase p, bool packed) {
  auto& parts = shared_memory<Parts>();
  const int64_t first_pixel = int64_t{blockIdx.x} * kSide;
  const int64_t first_channel = int64_t{blockIdx.y} * kSide;
  const int piece = static_cast<int>(threadIdx.x) % kPieces;
  const int line = static_cast<int>(threadIdx.x) / kPieces;
  const auto *x = static_cast<const bfloat16*>(p.x), *w = static_cast<const bfloat16*>(p.w);

  // Where tap offset (0, 0) meets x.
  const bfloat16* corner[kCopies];
  int corner_y[kCopies], corner_x[kCopies];
  unsigned pixels = 0;  // a bit for each that there is
#pragma unroll
  for (int e = 0; e < kCopies; ++e) {
    const int64_t m = first_pixel + line + e * kLines;
    const ConvPixel at = p.pixel(m);
    if (m < p.pixels()) pixels |= 1u << e;
    corner_y[e] = static_cast<int>(at.i * p.in_step);
    corner_x[e] = static_cast<int>(at.j * p.in_step);
    corner[e] = x + ((at.b * p.H + at.i * p.in_step) * p.W + at.j * p.in_step) * p.C;
  }
  const int channels = static_cast<int>(p.N - first_channel < kSide ? p.N - first_channel : kSide);
  const int64_t K = p.taps * p.C;
  const bfloat16* const row_of_w = w + (first_channel + line) * K;

  // Copies panels in the order of K, one a call; none after the last.
  int64_t tap = 0, c = piece * kPiece;
  int into = 0;
  const auto copy_panel = [&] {
    if (tap < p.taps) {
      const int tap_y = static_cast<int>(p.tap_y[tap]), tap_x = static_cast<int>(p.tap_x[tap]);
      const int64_t of_tap = (int64_t{tap_y} * p.W + tap_x) * p.C + c;
      const bfloat16* const tap_of_w = row_of_w + tap * p.C + c;
#pragma unroll
      for (int e = 0; e < kCopies; ++e) {
        const int y = corner_y[e] + tap_y, column = corner_x[e] + tap_x;
        const bool inside =
            c < p.C && (pixels >> e & 1) != 0 && y >= 0 && y < p.H && column >= 0 && column < p.W;
        copy_async(piece_of(parts.stages.x[into], line + e * kLines, line % 8, piece),
                   inside ? corner[e] + of_tap : x, inside);
      }
#pragma unroll
      for (int e = 0; e < kCopies; ++e) {
        const bool inside = c < p.C && line + e * kLines < channels;
        copy_async(piece_of(parts.stages.w[into], line + e * kLines, line % 8, piece),
                   inside ? tap_of_w + e * kLines * K : w, inside);
      }
      into = into + 1 < kStages ? into + 1 : 0;
      c += kDepth;
      if (c - piece * kPiece >= p.C) {
        c = piece * kPiece;
        ++tap;
      }
    }
    copy_commit();  // an empty group keeps the count
  };

  const int pixel = warp() / (kSide / kWarpChannels) * kWarpPixels;
  const int channel = warp() % (kSide / kWarpChannels) * kWarpChannels;
  float sums[kDown][kAcross][4] = {};
#pragma unroll 1
  for (int i = 0; i + 1 < kStages; ++i) copy_panel();
  const int64_t panels = p.taps * ceil_div(p.C, kDepth);
  int stage = 0;
  for (int64_t i = 0; i < panels; ++i) {
    copy_wait<kStages - 2>();
    block_barrier();  // panel i is there for all, and panel i - 1 is free for all
    copy_panel();
    multiply_panels(sums, parts.stages.x[stage], parts.stages.w[stage], pixel, channel);
    stage = stage + 1 < kStages ? stage + 1 : 0;
  }
  copy_wait<0>();
  block_barrier();  // the sums are written where the panels are read

#pragma unroll
  for (int i = 0; i < kDown; ++i)
#pragma unroll
    for (int j = 0; j < kAcross; ++j)
#pragma unroll
      for (int k = 0; k < 4; ++k)
        parts.sums[pixel + 16 * i + lane() / 4 + k / 2 * 8]
                  [channel + 8 * j + lane() % 4 * 2 + k % 2] = sums[i][j][k];
  block_barrier();

  const auto *bias = static_cast<const bfloat16*>(p.bias),
             *residual = static_cast<const bfloat16*>(p.residual);
  auto* const out = static_cast<bfloat16*>(p.y);
#pragma unroll 1
  for (int i = static_cast<int>(threadIdx.x); i < kSide * kSide / kPiece; i += kThreads) {
    const int row = i / (kSide / kPiece), column = i % (kSide / kPiece) * kPiece;
    const int64_t m = first_pixel + row, n = first_channel + column;
    if (m >= p.pixels() || n >= p.N) continue;
    const int64_t at = p.place(p.pixel(m)) * p.N + n;
    const float* const from = &parts.sums[row][column];
    if (packed) {
      float sum[kPiece], more[kPiece];
      for (int k = 0; k < kPiece; ++k) sum[k] = from[k];
      if (bias != nullptr) {
        load_pack(more, bias + n);
        for (int k = 0; k < kPiece; ++k) sum[k] += more[k];
      }
      if (residual != nullptr) {
        load_pack(more, residual + at);
        for (int k = 0; k < kPiece; ++k) sum[k] += more[k];
      }
      store_pack(out + at, sum);
      continue;
    }
#pragma unroll 1
    for (int k = 0; k < kPiece && n + k < p.N; ++k) {
      float sum = from[k];
      if (bias != nullptr) sum += float(bias[n + k]);
      if (residual != nullptr) sum += float(residual[at + k]);
      out[at + k] = bfloat16(sum);
    }
  }
}

}  // namespace

bool conv2d_mma_takes(const ConvPhase& phase, DType dtype) {
  constexpr int64_t kMost = int64_t{1} << 29;  // places in a picture are ints
  return dtype == DType::kBFloat16 && phase.H < kMost && phase.W < kMost &&
         phase.rows * phase.in_step < kMost && phase.columns * phase.in_step < kMost &&
         packs<bfloat16>(phase.x, phase.C) && packs<bfloat16>(phase.w);
}

void conv2d_mma(const ConvPhase& phase, Stream& stream) {
  const bool packed = packs<bfloat16>(phase.y, phase.N) && packs<bfloat16>(phase.bias) &&
                      packs<bfloat16>(phase.residual);
  launch(conv2d_mma_kernel,
         {.grid = {ceil_div(phase.pixels(), kSide), ceil_div(phase.N, kSide)},
          .block = kThreads,
          .shared = sizeof(Parts),
          .stream = stream},
         phase, packed);
}

}  // namespace srpo::cuda
