#include "cpp/cpu/target_avx512_bf16.h"

// Convolution on pairs of bfloat16: vdpbf16ps takes two input channels at a time, twice the rate of
// float. The sums are float.
#define SRPO_CONV_SUMS 24  // of 32 registers
#define SRPO_CONV_VECTORS 4
#include "cpp/cpu/conv/conv2d_tile.h"
#include "cpp/cpu/conv/conv2d_weight.h"
#include "cpp/cpu/conv/conv2d_weight_pairs.h"

namespace {

using Range = ConvRange<bf16_bits, bf16_bits>;

/// tile[m] += rows[tap][m][c] * weights[tap][c] over taps and c, in pairs: the weights of a tap are
/// [C / 2, 16 * V, 2].
template <int V>
[[gnu::noinline]] void multiply_pairs(TileSums<V>& tile, const bf16_bits* const* rows,
                                      const bf16_bits* weights, int64_t taps, int64_t C) {
  __m512 sums[kRows<V>][V];
#pragma GCC unroll 12
  for (int m = 0; m < kRows<V>; ++m)
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) sums[m][v] = _mm512_load_ps(tile.values[m] + 16 * v);
  for (int64_t tap = 0; tap < taps; ++tap, rows += kLanes) {
    const bf16_bits* row[kRows<V>];
#pragma GCC unroll 12
    for (int m = 0; m < kRows<V>; ++m) row[m] = rows[m];
    for (int64_t c = 0; c < C; c += 2, weights += 32 * V) {
      __m512bh w[V];
#pragma GCC unroll 4
      for (int v = 0; v < V; ++v) w[v] = (__m512bh)_mm512_loadu_si512(weights + 32 * v);
#pragma GCC unroll 12
      for (int m = 0; m < kRows<V>; ++m) {
        int32_t pair;
        std::memcpy(&pair, row[m] + c, sizeof pair);
        const __m512bh x = (__m512bh)_mm512_set1_epi32(pair);
#pragma GCC unroll 4
        for (int v = 0; v < V; ++v) sums[m][v] = _mm512_dpbf16_ps(sums[m][v], x, w[v]);
      }
    }
  }
#pragma GCC unroll 12
  for (int m = 0; m < kRows<V>; ++m)
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) _mm512_store_ps(tile.values[m] + 16 * v, sums[m][v]);
}

/// sums[m] = sum of lines[tap][m][c] * weights[tap][c] over taps and c.
[[gnu::noinline]] void multiply_line(LineSums& tile, const bf16_bits* const* lines,
                                     const bf16_bits* weights, int64_t taps, int64_t C) {
  __m512 sums[kLinePixels];
#pragma GCC unroll 16
  for (int m = 0; m < kLinePixels; ++m) sums[m] = _mm512_setzero_ps();
  const int64_t three = 3 * C;
  for (int64_t tap = 0; tap < taps; ++tap) {
    const bf16_bits* line[4];
#pragma GCC unroll 4
    for (int g = 0; g < 4; ++g) line[g] = lines[tap] + 4 * g * C;
    for (int64_t c = 0; c < C; c += 2, weights += 32) {
      const __m512bh weight = (__m512bh)_mm512_loadu_si512(weights);
      const auto add = [&](__m512& sum, const bf16_bits* at) __attribute__((always_inline)) {
        int32_t pair;
        std::memcpy(&pair, at, sizeof pair);
        sum = _mm512_dpbf16_ps(sum, (__m512bh)_mm512_set1_epi32(pair), weight);
      };
#pragma GCC unroll 4
      for (int g = 0; g < 4; ++g) {
        add(sums[4 * g], line[g]);
        add(sums[4 * g + 1], line[g] + C);
        add(sums[4 * g + 2], line[g] + 2 * C);
        add(sums[4 * g + 3], line[g] + three);
        line[g] += 2;
      }
    }
  }
#pragma GCC unroll 16
  for (int m = 0; m < kLinePixels; ++m) _mm512_store_ps(tile.values[m], sums[m]);
}

/// The narrowest tile that holds the channels.
template <int V = 1>
void run(const Range& r) {
  if constexpr (V < kVectors)
    if (r.channels > 16 * V) return run<V + 1>(r);
  run_tiles<V>(r, multiply_pairs<V>, multiply_line);
}

constexpr int kWeightRows = 8;
constexpr int64_t kPairs = kConvWeightPixels / 2;

/// total[m][...] += sum over pairs of dy[pair][m] . x[pair][...], 8 output by 16 * V input channels.
template <int V>
[[gnu::noinline]] void weight_tile(float* total, int64_t pitch, const uint32_t* dy,
                                   const uint32_t* x, int64_t pairs) {
  __m512 sums[kWeightRows][V];
#pragma GCC unroll 8
  for (int m = 0; m < kWeightRows; ++m)
#pragma GCC unroll 2
    for (int v = 0; v < V; ++v) sums[m][v] = _mm512_setzero_ps();
  for (int64_t p = 0; p < pairs; ++p, dy += kConvWeightChannels, x += pitch) {
    __m512bh row[V];
#pragma GCC unroll 2
    for (int v = 0; v < V; ++v) row[v] = (__m512bh)_mm512_loadu_si512(x + 16 * v);
#pragma GCC unroll 8
    for (int m = 0; m < kWeightRows; ++m) {
      const __m512bh gradient = (__m512bh)_mm512_set1_epi32(static_cast<int32_t>(dy[m]));
#pragma GCC unroll 2
      for (int v = 0; v < V; ++v) sums[m][v] = _mm512_dpbf16_ps(sums[m][v], gradient, row[v]);
    }
  }
#pragma GCC unroll 8
  for (int m = 0; m < kWeightRows; ++m)
#pragma GCC unroll 2
    for (int v = 0; v < V; ++v) {
      float* to = total + m * pitch + 16 * v;
      _mm512_storeu_ps(to, _mm512_loadu_ps(to) + sums[m][v]);
    }
}

/// The weight gradient of a tap: pixels in pairs, interleaved block by block.
void run_weights(const ConvWeightRange<bf16_bits>& r) {
  const int64_t pitch = (r.C + 31) / 32 * 32;
  float* total = r.scratch;  // [channels, pitch]
  const auto dy = reinterpret_cast<uint32_t*>(total + kConvWeightChannels * pitch);
  uint32_t* x = dy + kPairs * kConvWeightChannels;  // [kPairs, pitch]
  std::memset(total, 0, static_cast<size_t>(kConvWeightChannels * pitch) * 4);
  const bf16_bits* rows_of_dy[kConvWeightPixels + 1];
  const bf16_bits* rows_of_x[kConvWeightPixels + 1];
  int64_t pixels = 0;

  const auto flush = [&] {
    const int64_t pairs = (pixels + 1) / 2;
    rows_of_dy[pixels] = rows_of_x[pixels] = nullptr;  // of the last pair, if pixels are odd
    for (int64_t p = 0; p < pairs; ++p) {
      interleave(dy + p * kConvWeightChannels, rows_of_dy[2 * p], rows_of_dy[2 * p + 1],
                 r.channels);
      interleave(x + p * pitch, rows_of_x[2 * p], rows_of_x[2 * p + 1], r.C);
    }
    for (int64_t m = 0; m < r.channels; m += kWeightRows)
      for (int64_t c = 0; c < r.C; c += 32) {
        if (r.C - c > 16)
          weight_tile<2>(total + m * pitch + c, pitch, dy + m, x + c, pairs);
        else
          weight_tile<1>(total + m * pitch + c, pitch, dy + m, x + c, pairs);
      }
    pixels = 0;
  };

  for_each_weight_pixel(r, [&](const bf16_bits* gradient, const bf16_bits* row) {
    rows_of_dy[pixels] = gradient;
    rows_of_x[pixels++] = row;
    if (pixels == kConvWeightPixels) flush();
  });
  flush();
  add_weights(r, total, pitch);
}

}  // namespace

namespace srpo::cpu {

extern const ConvPairTables SRPO_NAMED(conv2d_) = {.rows = kMostRows,
                                                   .columns = kColumns,
                                                   .bf16 = run<1>,
                                                   .weight_bf16 = run_weights,
                                                   .weight_rows_bf16 = run_weight_rows};

}  // namespace srpo::cpu
