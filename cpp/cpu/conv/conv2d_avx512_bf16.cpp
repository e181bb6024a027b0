#include "cpp/cpu/target_avx512_bf16.h"

// Convolution on pairs of bfloat16: vdpbf16ps takes two input channels at a time, twice the rate of
// float. The sums are float.
#include "cpp/cpu/conv/conv2d_tile.h"

namespace {

using Range = ConvRange<bf16_bits, bf16_bits>;

/// sums[m][v] += rows[m][c] * weights[c][v] over c, in pairs: weights are [C / 2, 16 * V, 2].
template <int V>
SRPO_INLINE const bf16_bits* multiply_pairs(f32x16 (&sums)[kRows][V], const bf16_bits* const* rows,
                                            const bf16_bits* weights, int64_t C) {
  for (int64_t c = 0; c < C; c += 2, weights += 32 * V) {
    __m512bh w[V];
#pragma GCC unroll 2
    for (int v = 0; v < V; ++v) w[v] = (__m512bh)_mm512_loadu_si512(weights + 32 * v);
#pragma GCC unroll 14
    for (int m = 0; m < kRows; ++m) {
      int32_t pair;
      std::memcpy(&pair, rows[m] + c, sizeof pair);
      const __m512bh x = (__m512bh)_mm512_set1_epi32(pair);
#pragma GCC unroll 2
      for (int v = 0; v < V; ++v)
        sums[m][v] = (f32x16)_mm512_dpbf16_ps((__m512)sums[m][v], x, w[v]);
    }
  }
  return weights;
}

template <int V>
void run_pairs(const Range& r) {
  run_tiles<V>(r,
               [](f32x16(&sums)[kRows][V], const bf16_bits* const* rows, const bf16_bits* weights,
                  int64_t C) { return multiply_pairs<V>(sums, rows, weights, C); });
}

void run(const Range& r) {
  if (r.channels <= 16)
    run_pairs<1>(r);
  else
    run_pairs<kVectors>(r);
}

}  // namespace

namespace srpo::cpu {

extern const ConvPairTables SRPO_NAMED(conv2d_) = {.rows = kRows, .columns = kColumns, .bf16 = run};

}  // namespace srpo::cpu
