// The weight gradient of all taps at once, on dot products of bfloat16 pairs; for kernel files that a
// target pragma with AVX512_BF16 stands above.
//
// Neighbouring outputs are the pairs. A row of dy is interleaved once for all taps; a row of x once for
// every place where a pair may begin, so that what the taps (v, c) of a kernel row meet lies in a run:
//
//   pairs of x [q][c] = (x[q - left][c], x[q + 1 - left][c]),   from [2 j][0] on the words (v, c) of pair j
//
// and dw[n, u, (v, c)] is a plain product over pairs.
#pragma once
#include "cpp/cpu/conv/conv2d_kernels.h"
#include "cpp/cpu/vector.h"

namespace {

using srpo::cpu::ConvWeightRows;

using u16x32 = uint16_t __attribute__((vector_size(64)));

/// to[i] = (a[i], b[i]) for i < n, zeros up to the next multiple of 16 and for a row that is null.
SRPO_INLINE void interleave(uint32_t* to, const bf16_bits* a, const bf16_bits* b, int64_t n) {
  const u16x32 low = {0, 32, 1, 33, 2,  34, 3,  35, 4,  36, 5,  37, 6,  38, 7,  39,
                      8, 40, 9, 41, 10, 42, 11, 43, 12, 44, 13, 45, 14, 46, 15, 47};
  const u16x32 high = low + 16;
  for (int64_t i = 0; i < n; i += 32) {
    const __mmask32 some = n - i < 32 ? (uint32_t{1} << (n - i)) - 1 : ~uint32_t{0};
    const auto from_a = (u16x32)_mm512_maskz_loadu_epi16(a == nullptr ? 0 : some, a + i);
    const auto from_b = (u16x32)_mm512_maskz_loadu_epi16(b == nullptr ? 0 : some, b + i);
    const u16x32 first = __builtin_shuffle(from_a, from_b, low);
    std::memcpy(to + i, &first, sizeof first);
    if (n - i <= 16) return;
    const u16x32 second = __builtin_shuffle(from_a, from_b, high);
    std::memcpy(to + i + 16, &second, sizeof second);
  }
}

constexpr int kRowsOfWeights = 8, kVectorsOfWeights = 3;

/// The pairs of some rows of outputs under one row of the kernel.
struct WeightPairs {
  const uint32_t* dy;        // [rows, pairs, pitch]
  const uint32_t* const* x;  // a row of x each
  int64_t rows, pairs;
  int64_t dy_pitch, x_step;  // words from a pair to the next
};

/// total[m][...] += sum over pairs of dy[pair][m] . x[pair][...], 8 output channels by 16 * V words
/// from `word` on.
template <int V>
[[gnu::noinline]] void weight_rows_tile(float* total, int64_t pitch, const WeightPairs& p,
                                        int64_t m0, int64_t word) {
  __m512 sums[kRowsOfWeights][V];
#pragma GCC unroll 8
  for (int m = 0; m < kRowsOfWeights; ++m)
#pragma GCC unroll 3
    for (int v = 0; v < V; ++v) sums[m][v] = _mm512_setzero_ps();
  const uint32_t* dy = p.dy + m0;
  for (int64_t row = 0; row < p.rows; ++row) {
    const uint32_t* x = p.x[row] + word;
    for (int64_t j = 0; j < p.pairs; ++j, dy += p.dy_pitch, x += p.x_step) {
      __m512bh taps[V];
#pragma GCC unroll 3
      for (int v = 0; v < V; ++v) taps[v] = (__m512bh)_mm512_loadu_si512(x + 16 * v);
#pragma GCC unroll 8
      for (int m = 0; m < kRowsOfWeights; ++m) {
        const __m512bh gradient = (__m512bh)_mm512_set1_epi32(static_cast<int32_t>(dy[m]));
#pragma GCC unroll 3
        for (int v = 0; v < V; ++v) sums[m][v] = _mm512_dpbf16_ps(sums[m][v], gradient, taps[v]);
      }
    }
  }
#pragma GCC unroll 8
  for (int m = 0; m < kRowsOfWeights; ++m)
#pragma GCC unroll 3
    for (int v = 0; v < V; ++v) {
      float* to = total + m * pitch + 16 * v;
      _mm512_storeu_ps(to, _mm512_loadu_ps(to) + sums[m][v]);
    }
}

/// The pairs of a padded row of x, all places (or every second where taps do not overlap).
SRPO_INLINE void pairs_of_row(uint32_t* to, const ConvWeightRows& r, const bf16_bits* x,
                              int64_t places) {
  const int64_t step = r.kw == 1 ? 2 : 1;
  const auto at = [&](int64_t place) {
    const int64_t column = place - r.left;
    return column >= 0 && column < r.W ? x + column * r.C : nullptr;
  };
  for (int64_t q = 0; q < places; q += step) interleave(to + q * r.C, at(q), at(q + 1), r.C);
}

/// Adds the outputs of some blocks of rows to the total.
void run_weight_rows(const ConvWeightRows& r) {
  const int64_t pairs = (r.Wo + 1) / 2, places = 2 * pairs + r.kw - 1;
  const int64_t dy_pitch = (r.N + 15) / 16 * 16, x_pitch = places * r.C + 64;
  const int64_t words = r.kw * r.C, pitch = r.kh * r.word_pitch;
  const int64_t slots = r.rows + r.kh - 1;  // rows of x are kept for the next block
  uint32_t* dy = r.scratch;                 // [rows, pairs, dy_pitch]
  uint32_t* x = dy + r.rows * pairs * dy_pitch;
  const auto slot = [&](int64_t row) { return x + row % slots * x_pitch; };
  const int64_t blocks = (r.Ho + r.rows - 1) / r.rows;  // of a picture
  int64_t there = 0;  // padded rows of x before this one are in their slots
  for (int64_t block = r.begin; block < r.end; ++block) {
    const int64_t b = block / blocks, first = block % blocks * r.rows;
    const int64_t rows = r.rows < r.Ho - first ? r.rows : r.Ho - first;
    if (block == r.begin || first == 0) there = first;
    for (; there < first + rows + r.kh - 1; ++there) {
      const int64_t y = there - r.top;
      if (y >= 0 && y < r.H)
        pairs_of_row(slot(there), r, r.x + (b * r.H + y) * r.W * r.C, places);
      else
        std::memset(slot(there), 0, static_cast<size_t>(x_pitch) * 4);
    }
    for (int64_t i = 0; i < rows; ++i) {
      const bf16_bits* row = r.dy + (b * r.Ho + first + i) * r.Wo * r.N;
      for (int64_t j = 0; j < pairs; ++j, row += 2 * r.N)
        interleave(dy + (i * pairs + j) * dy_pitch, row, 2 * j + 1 < r.Wo ? row + r.N : nullptr,
                   r.N);
    }
    const uint32_t* rows_of_x[srpo::cpu::kConvWeightRows];
    for (int64_t u = 0; u < r.kh; ++u) {
      for (int64_t i = 0; i < rows; ++i) rows_of_x[i] = slot(first + i + u);
      const WeightPairs p{dy, rows_of_x, rows, pairs, dy_pitch, 2 * r.C};
      for (int64_t word = 0; word < words; word += 16 * kVectorsOfWeights)
        for (int64_t m = 0; m < r.N; m += kRowsOfWeights) {
          float* to = r.total + m * pitch + u * r.word_pitch + word;
          if (words - word > 32)
            weight_rows_tile<3>(to, pitch, p, m, word);
          else if (words - word > 16)
            weight_rows_tile<2>(to, pitch, p, m, word);
          else
            weight_rows_tile<1>(to, pitch, p, m, word);
        }
    }
  }
}

}  // namespace
