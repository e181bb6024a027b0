#include "cpp/cpu/target_avx512_bf16.h"

// Convolution on pairs of bfloat16: vdpbf16ps takes two input channels at a time, twice the rate of
// float. The sums are float.
#define SRPO_CONV_SUMS 24  // of 32 registers
#define SRPO_CONV_VECTORS 4
#include "cpp/cpu/conv/conv2d_tile.h"

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

/// The narrowest tile that holds the channels.
template <int V = 1>
void run(const Range& r) {
  if constexpr (V < kVectors)
    if (r.channels > 16 * V) return run<V + 1>(r);
  run_tiles<V>(r, multiply_pairs<V>);
}

}  // namespace

namespace srpo::cpu {

extern const ConvPairTables SRPO_NAMED(conv2d_) = {
    .rows = kMostRows, .columns = kColumns, .bf16 = run<1>};

}  // namespace srpo::cpu
