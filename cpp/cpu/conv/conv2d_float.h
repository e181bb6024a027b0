// Convolution on floats, for whatever target the including file has set: the forward and input
// gradient tiles of conv2d_tile.h, and the weight gradient.
#pragma once
#include "cpp/cpu/conv/conv2d_tile.h"
#include "cpp/cpu/conv/conv2d_weight.h"

namespace {

using srpo::cpu::ConvTables;

/// tile[m] += rows[tap][m][c] * weights[tap][c] over taps and c.
template <int V>
[[gnu::noinline]] void multiply_floats(TileSums<V>& tile, const float* const* rows,
                                       const float* weights, int64_t taps, int64_t C) {
  f32x16 sums[kRows<V>][V];
#pragma GCC unroll 12
  for (int m = 0; m < kRows<V>; ++m)
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) sums[m][v] = load(tile.values[m] + 16 * v);
  for (int64_t tap = 0; tap < taps; ++tap, rows += kLanes) {
    const float* row[kRows<V>];
#pragma GCC unroll 12
    for (int m = 0; m < kRows<V>; ++m) row[m] = rows[m];
    for (int64_t c = 0; c < C; ++c, weights += 16 * V) {
      f32x16 w[V];
#pragma GCC unroll 4
      for (int v = 0; v < V; ++v) w[v] = load(weights + 16 * v);
#pragma GCC unroll 12
      for (int m = 0; m < kRows<V>; ++m)
#pragma GCC unroll 4
        for (int v = 0; v < V; ++v) sums[m][v] += row[m][c] * w[v];
    }
  }
#pragma GCC unroll 12
  for (int m = 0; m < kRows<V>; ++m)
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) store(tile.values[m] + 16 * v, sums[m][v]);
}

/// sums[m] = sum of lines[tap][m][c] * weights[tap][c] over taps and c.
[[gnu::noinline]] void multiply_line(LineSums& tile, const float* const* lines,
                                     const float* weights, int64_t taps, int64_t C) {
  const int64_t three = 3 * C;
  f32x16 sums[kLinePixels] = {};
  for (int64_t tap = 0; tap < taps; ++tap) {
    const float* line[4];
#pragma GCC unroll 4
    for (int g = 0; g < 4; ++g) line[g] = lines[tap] + 4 * g * C;
    for (int64_t c = 0; c < C; ++c, weights += 16) {
      const f32x16 weight = load(weights);
#pragma GCC unroll 4
      for (int g = 0; g < 4; ++g) {
        sums[4 * g] += line[g][0] * weight;
        sums[4 * g + 1] += line[g][C] * weight;
        sums[4 * g + 2] += line[g][2 * C] * weight;
        sums[4 * g + 3] += line[g][three] * weight;
        ++line[g];
      }
    }
  }
#pragma GCC unroll 16
  for (int m = 0; m < kLinePixels; ++m) store(tile.values[m], sums[m]);
}

/// The narrowest tile that holds the channels.
template <int V = 1, typename Out>
void run(const ConvRange<float, Out>& r) {
  if constexpr (V < kVectors)
    if (r.channels > 16 * V) return run<V + 1>(r);
  run_tiles<V>(r, multiply_floats<V>, kLines ? multiply_line : nullptr);
}

template <typename T>
void sum_rows(T* to, const T* const* rows, int64_t count, int64_t n) {
  for_each_16(n, [&](int64_t i, int64_t some) {
    f32x16 total = load_at(rows[0], i, some);
    for (int64_t k = 1; k < count; ++k) total += load_at(rows[k], i, some);
    store_at(to, i, total, some);
  });
}

/// Swaps blocks of `step` lanes between rows that are `step` apart: four of these transpose 16 x 16.
template <int step>
SRPO_INLINE void exchange(u32x16 (&rows)[16]) {
  constexpr auto lane = [](int i, bool high) {
    // Row i of a pair takes its own blocks and the partner's neighbouring ones, of 32 lanes in all.
    return (i & step) ? (high ? 16 + i : 16 + i - step) : (high ? i + step : i);
  };
  const u32x16 low = {lane(0, 0),  lane(1, 0),  lane(2, 0),  lane(3, 0), lane(4, 0),  lane(5, 0),
                      lane(6, 0),  lane(7, 0),  lane(8, 0),  lane(9, 0), lane(10, 0), lane(11, 0),
                      lane(12, 0), lane(13, 0), lane(14, 0), lane(15, 0)};
  const u32x16 high = {lane(0, 1),  lane(1, 1),  lane(2, 1),  lane(3, 1), lane(4, 1),  lane(5, 1),
                       lane(6, 1),  lane(7, 1),  lane(8, 1),  lane(9, 1), lane(10, 1), lane(11, 1),
                       lane(12, 1), lane(13, 1), lane(14, 1), lane(15, 1)};
#pragma GCC unroll 16
  for (int i = 0; i < 16; ++i) {
    if (i & step) continue;
    const u32x16 a = rows[i], b = rows[i + step];
    rows[i] = __builtin_shuffle(a, b, low);
    rows[i + step] = __builtin_shuffle(a, b, high);
  }
}

void transpose(uint32_t* to, int64_t width, const uint32_t* from, int64_t pitch, int64_t rows,
               int64_t columns) {
  for (int64_t n = 0; n < rows; n += 16)
    for (int64_t c = 0; c < columns; c += 16) {
      if (rows - n < 16 || columns - c < 16) {
        for (int64_t i = c; i < columns && i < c + 16; ++i)
          for (int64_t j = n; j < rows && j < n + 16; ++j) to[i * width + j] = from[j * pitch + i];
        continue;
      }
      u32x16 block[16];
#pragma GCC unroll 16
      for (int i = 0; i < 16; ++i)
        std::memcpy(&block[i], from + (n + i) * pitch + c, sizeof block[i]);
      exchange<8>(block);
      exchange<4>(block);
      exchange<2>(block);
      exchange<1>(block);
#pragma GCC unroll 16
      for (int i = 0; i < 16; ++i)
        std::memcpy(to + (c + i) * width + n, &block[i], sizeof block[i]);
    }
}

constexpr int kWeightRows = SRPO_CONV_WEIGHT_ROWS;

/// total[m][c ...] += sum over pixels of dy[p][m] * x[p][c ...] for kWeightRows output channels.
template <int V, typename T>
[[gnu::noinline]] void weight_tile(float* total, int64_t pitch, const float* const* dy, int64_t n,
                                   const T* const* x, int64_t c, int64_t pixels) {
  f32x16 sums[kWeightRows][V];
#pragma GCC unroll 8
  for (int m = 0; m < kWeightRows; ++m)
#pragma GCC unroll 2
    for (int v = 0; v < V; ++v) sums[m][v] = f32x16{};
  for (int64_t p = 0; p < pixels; ++p) {
    const float* gradient = dy[p] + n;
    f32x16 row[V];
#pragma GCC unroll 2
    for (int v = 0; v < V; ++v) row[v] = load(x[p] + c + 16 * v);
#pragma GCC unroll 8
    for (int m = 0; m < kWeightRows; ++m)
#pragma GCC unroll 2
      for (int v = 0; v < V; ++v) sums[m][v] += gradient[m] * row[v];
  }
#pragma GCC unroll 8
  for (int m = 0; m < kWeightRows; ++m)
#pragma GCC unroll 2
    for (int v = 0; v < V; ++v) {
      float* to = total + m * pitch + 16 * v;
      store(to, load(to) + sums[m][v]);
    }
}

/// Collects the pixels of a tap in blocks of kConvWeightPixels, each block summed on its own.
template <typename T>
struct WeightBlock {
  const ConvWeightRange<T>& r;
  float* total;  // [kConvWeightChannels, pitch]
  float*
      copies;  // [kConvWeightPixels, kConvWeightChannels]: rows of dy that tiles cannot read in place
  float* tail;  // [kConvWeightPixels, 16]: the channels of x past the last full vector
  int64_t pitch, pixels = 0;
  bool in_place;  // dy is float and full tiles cover its channels
  const float* dy[kConvWeightPixels];
  const T* x[kConvWeightPixels];

  explicit WeightBlock(const ConvWeightRange<T>& range)
      : r(range), in_place(sizeof(T) == 4 && r.channels % kWeightRows == 0) {
    pitch = (r.C + 15) / 16 * 16;
    total = r.scratch;
    copies = total + kConvWeightChannels * pitch;
    tail = copies + kConvWeightPixels * kConvWeightChannels;
    std::memset(total, 0, static_cast<size_t>(tail - total) * 4);
  }

  SRPO_INLINE void add(const T* gradient, const T* row) {
    dy[pixels] = copies + pixels * kConvWeightChannels;
    if constexpr (sizeof(T) == 4)
      if (in_place) dy[pixels] = gradient;
    if (!in_place)
      for_each_16(r.channels, [&](int64_t n, int64_t count) {
        store(copies + pixels * kConvWeightChannels + n, load_at(gradient, n, count));
      });
    x[pixels++] = row;
    if (pixels == kConvWeightPixels) flush();
  }

  void flush() {
    const int64_t whole = r.C / 16 * 16;
    const float* rest[kConvWeightPixels];
    if (whole < r.C)
      for (int64_t p = 0; p < pixels; ++p) {
        store(tail + p * 16, load_some(x[p] + whole, r.C - whole));
        rest[p] = tail + p * 16;
      }
    for (int64_t m = 0; m < r.channels; m += kWeightRows) {
      float* to = total + m * pitch;
      int64_t c = 0;
      if constexpr (kVectors > 1)
        for (; c + 32 <= whole; c += 32) weight_tile<2>(to + c, pitch, dy, m, x, c, pixels);
      for (; c < whole; c += 16) weight_tile<1>(to + c, pitch, dy, m, x, c, pixels);
      if (whole < r.C) weight_tile<1>(to + whole, pitch, dy, m, rest, 0, pixels);
    }
    pixels = 0;
  }
};

template <typename T>
void run_weights(const ConvWeightRange<T>& r) {
  WeightBlock<T> block(r);
  for_each_weight_pixel(r, [&](const T* dy, const T* x) { block.add(dy, x); });
  block.flush();
  add_weights(r, block.total, block.pitch);
}

}  // namespace

namespace srpo::cpu {

extern const ConvTables SRPO_NAMED(conv2d_) = {
    .rows = kMostRows,
    .columns = kColumns,
    .f32 = run<1, float>,
    .f32_to_bf16 = run<1, bf16_bits>,
    .sum_f32 = sum_rows<float>,
    .sum_bf16 = sum_rows<bf16_bits>,
    .transpose = transpose,
    .weight_f32 = run_weights<float>,
    .weight_bf16 = run_weights<bf16_bits>,
};

}  // namespace srpo::cpu
