// Convolution on floats, for whatever target the including file has set: the forward and input
// gradient tiles of conv2d_tile.h, and the weight gradient.
#pragma once
#include "cpp/cpu/conv/conv2d_tile.h"

namespace {

using srpo::cpu::ConvTables;
using srpo::cpu::ConvWeightRange;

/// sums[m][v] += rows[m][c] * weights[c][v] over c.
template <int V>
SRPO_INLINE const float* multiply_floats(f32x16 (&sums)[kRows][V], const float* const* rows,
                                         const float* weights, int64_t C) {
  for (int64_t c = 0; c < C; ++c, weights += 16 * V) {
    f32x16 w[V];
#pragma GCC unroll 2
    for (int v = 0; v < V; ++v) w[v] = load(weights + 16 * v);
#pragma GCC unroll 14
    for (int m = 0; m < kRows; ++m) {
      const float x = rows[m][c];
#pragma GCC unroll 2
      for (int v = 0; v < V; ++v) sums[m][v] += x * w[v];
    }
  }
  return weights;
}

template <int V, typename Out>
void run_floats(const ConvRange<float, Out>& r) {
  run_tiles<V>(r, [](f32x16(&sums)[kRows][V], const float* const* rows, const float* weights,
                     int64_t C) { return multiply_floats<V>(sums, rows, weights, C); });
}

template <typename Out>
void run(const ConvRange<float, Out>& r) {
  if (r.channels <= 16)
    run_floats<1>(r);
  else
    run_floats<kVectors>(r);
}

#if defined(__AVX512F__)
constexpr int kWeightRows = 8;
#elif defined(__AVX2__)
constexpr int kWeightRows = 4;
#else
constexpr int kWeightRows = 2;
#endif

/// total[m][c ...] += sum over pixels of dy[p][m] * x[p][c ...] for kWeightRows output channels.
template <int V, typename T>
SRPO_INLINE void weight_tile(float* total, int64_t pitch, const float* dy, const T* const* x,
                             int64_t c, int64_t pixels) {
  f32x16 sums[kWeightRows][V];
#pragma GCC unroll 8
  for (int m = 0; m < kWeightRows; ++m)
#pragma GCC unroll 2
    for (int v = 0; v < V; ++v) sums[m][v] = f32x16{};
  for (int64_t p = 0; p < pixels; ++p) {
    f32x16 row[V];
#pragma GCC unroll 2
    for (int v = 0; v < V; ++v) row[v] = load(x[p] + c + 16 * v);
#pragma GCC unroll 8
    for (int m = 0; m < kWeightRows; ++m) {
      const float g = dy[p * srpo::cpu::kConvWeightChannels + m];
#pragma GCC unroll 2
      for (int v = 0; v < V; ++v) sums[m][v] += g * row[v];
    }
  }
#pragma GCC unroll 8
  for (int m = 0; m < kWeightRows; ++m)
#pragma GCC unroll 2
    for (int v = 0; v < V; ++v) {
      float* to = total + m * pitch + c + 16 * v;
      store(to, load(to) + sums[m][v]);
    }
}

/// Collects the pixels of a tap in blocks of kConvWeightPixels, each block summed on its own.
template <typename T>
struct WeightBlock {
  static constexpr int64_t kPixels = srpo::cpu::kConvWeightPixels;
  static constexpr int64_t kChannels = srpo::cpu::kConvWeightChannels;

  const ConvWeightRange<T>& r;
  float* total;  // [kChannels, pitch]
  float* dy;     // [kPixels, kChannels]
  float* tail;   // [kPixels, 16]: the channels of x past the last full vector
  int64_t pitch, pixels = 0;
  const T* x[kPixels];

  explicit WeightBlock(const ConvWeightRange<T>& range) : r(range) {
    pitch = (r.C + 15) / 16 * 16;
    total = r.scratch;
    dy = total + kChannels * pitch;
    tail = dy + kPixels * kChannels;
    std::memset(total, 0, static_cast<size_t>(kChannels * pitch + kPixels * kChannels) * 4);
  }

  void add(const T* gradient, const T* row) {
    for_each_16(r.channels, [&](int64_t n, int64_t count) {
      store(dy + pixels * kChannels + n, load_at(gradient, n, count));
    });
    x[pixels++] = row;
    if (pixels == kPixels) flush();
  }

  void flush() {
    const int64_t whole = r.C / 16 * 16;
    const float* rest[kPixels];
    if (whole < r.C)
      for (int64_t p = 0; p < pixels; ++p) {
        store(tail + p * 16, load_some(x[p] + whole, r.C - whole));
        rest[p] = tail + p * 16;
      }
    for (int64_t m = 0; m < r.channels; m += kWeightRows) {
      int64_t c = 0;
      if constexpr (kVectors == 2)
        for (; c + 32 <= whole; c += 32)
          weight_tile<2>(total + m * pitch, pitch, dy + m, x, c, pixels);
      for (; c < whole; c += 16) weight_tile<1>(total + m * pitch, pitch, dy + m, x, c, pixels);
      if (whole < r.C) weight_tile<1>(total + m * pitch + whole, pitch, dy + m, rest, 0, pixels);
    }
    pixels = 0;
  }
};

int64_t floor_half(int64_t value) {
  return value >> 1;
}

template <typename T>
void run_weights(const ConvWeightRange<T>& r) {
  WeightBlock<T> block(r);
  for (int64_t b = 0; b < r.B; ++b)
    for (int64_t i = 0; i < r.Ho; ++i) {
      const int64_t up_y = i * r.stride + r.shift_y;
      const int64_t y = r.upsample ? floor_half(up_y) : up_y;
      if (y < 0 || y >= r.H) continue;
      for (int64_t j = 0; j < r.Wo; ++j) {
        const int64_t up_x = j * r.stride + r.shift_x;
        const int64_t x = r.upsample ? floor_half(up_x) : up_x;
        if (x < 0 || x >= r.W) continue;
        block.add(r.dy + ((b * r.Ho + i) * r.Wo + j) * r.N + r.first_channel,
                  r.x + ((b * r.H + y) * r.W + x) * r.C);
      }
    }
  block.flush();
  for (int64_t m = 0; m < r.channels; ++m) {
    float* to = r.dw + (r.first_channel + m) * r.taps * r.C;
    const float* from = block.total + m * block.pitch;
    for (int64_t c = 0; c < r.C; ++c) to[c] += from[c];
  }
}

}  // namespace

namespace srpo::cpu {

extern const ConvTables SRPO_NAMED(conv2d_) = {
    .rows = kRows,
    .columns = kColumns,
    .f32 = run<float>,
    .f32_to_bf16 = run<bf16_bits>,
    .weight_f32 = run_weights<float>,
    .weight_bf16 = run_weights<bf16_bits>,
};

}  // namespace srpo::cpu
