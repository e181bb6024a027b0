// Sixteen by sixteen 32-bit words, transposed in the registers of AVX-512; for kernel files that its
// target pragma stands above.
#pragma once
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"  // of GCC 12, in its own intrinsics
#include <immintrin.h>

#include <cstdint>

namespace {

/// lines[i] word k -> columns[k] word i. First 4 x 4 blocks within the 128-bit quarters, then the
/// quarters.
[[gnu::always_inline]] inline void transpose_16(__m512i (&v)[16]) {
  __m512i t[16];
#pragma GCC unroll 8
  for (int i = 0; i < 16; i += 2) {
    t[i] = _mm512_unpacklo_epi32(v[i], v[i + 1]);
    t[i + 1] = _mm512_unpackhi_epi32(v[i], v[i + 1]);
  }
#pragma GCC unroll 4
  for (int i = 0; i < 16; i += 4) {
    v[i] = _mm512_unpacklo_epi64(t[i], t[i + 2]);
    v[i + 1] = _mm512_unpackhi_epi64(t[i], t[i + 2]);
    v[i + 2] = _mm512_unpacklo_epi64(t[i + 1], t[i + 3]);
    v[i + 3] = _mm512_unpackhi_epi64(t[i + 1], t[i + 3]);
  }
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) {
    t[i] = _mm512_shuffle_i32x4(v[i], v[i + 4], 0x88);
    t[i + 4] = _mm512_shuffle_i32x4(v[i], v[i + 4], 0xdd);
    t[i + 8] = _mm512_shuffle_i32x4(v[i + 8], v[i + 12], 0x88);
    t[i + 12] = _mm512_shuffle_i32x4(v[i + 8], v[i + 12], 0xdd);
  }
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) {
    v[i] = _mm512_shuffle_i32x4(t[i], t[i + 8], 0x88);
    v[i + 4] = _mm512_shuffle_i32x4(t[i + 4], t[i + 12], 0x88);
    v[i + 8] = _mm512_shuffle_i32x4(t[i], t[i + 8], 0xdd);
    v[i + 12] = _mm512_shuffle_i32x4(t[i + 4], t[i + 12], 0xdd);
  }
}

/// panel[k][width] = word k of each line, for `words` k. load(line, k, mask) gives sixteen words of a
/// line from k on. Where the width is no multiple of 16 each row's store spills into the next row,
/// which is written after it.
template <int width, typename Load>
[[gnu::always_inline]] inline void transpose_lines(uint32_t* panel, int64_t lines, int64_t words,
                                                   const Load& load) {
  for (int64_t k = 0; k < words; k += 16) {
    const int64_t count = words - k < 16 ? words - k : 16;
    const __mmask16 mask = static_cast<__mmask16>((1u << count) - 1);
    for (int64_t first = 0; first < width; first += 16) {
      const int64_t here = lines - first;
      __m512i v[16];
      if (here >= 16) {
#pragma GCC unroll 16
        for (int i = 0; i < 16; ++i) v[i] = load(first + i, k, mask);
      } else {
#pragma GCC unroll 16
        for (int i = 0; i < 16; ++i)
          v[i] = i < here ? load(first + i, k, mask) : _mm512_setzero_si512();
      }
      transpose_16(v);
      uint32_t* to = panel + k * width + first;
      if (count == 16) {
#pragma GCC unroll 16
        for (int i = 0; i < 16; ++i) _mm512_storeu_si512(to + i * width, v[i]);
      } else {
        for (int i = 0; i < 16; ++i)
          if (i < count) _mm512_storeu_si512(to + i * width, v[i]);
      }
    }
  }
}

/// The sums of the lanes of sixteen vectors, in order. The same tree for every vector.
[[gnu::always_inline]] inline __m512 sums_of(const __m512 (&of)[16]) {
  __m512i v[16];
#pragma GCC unroll 16
  for (int i = 0; i < 16; ++i) v[i] = _mm512_castps_si512(of[i]);
  transpose_16(v);
  __m512 s[16];
#pragma GCC unroll 16
  for (int i = 0; i < 16; ++i) s[i] = _mm512_castsi512_ps(v[i]);
#pragma GCC unroll 4
  for (int step = 8; step > 0; step /= 2)
#pragma GCC unroll 8
    for (int i = 0; i < step; ++i) s[i] = _mm512_add_ps(s[i], s[i + step]);
  return s[0];
}

/// c[i][0..3] = the sums of products[i * 4 + 0..3], for `rows` rows, `stride` floats apart; `columns`
/// of the four are wanted.
template <int rows>
[[gnu::always_inline]] inline void store_sums(float* c, int64_t stride, int64_t columns,
                                              const __m512 (&products)[rows][4]) {
  __m512 all[16];
#pragma GCC unroll 16
  for (int i = 0; i < 16; ++i)
    all[i] = i < rows * 4 ? products[i / 4 % rows][i % 4] : _mm512_setzero_ps();
  const __m512 sums = sums_of(all);
  const __mmask16 mask = static_cast<__mmask16>((1u << (columns < 4 ? columns : 4)) - 1);
  alignas(64) float rest[16];
  _mm512_store_ps(rest, sums);
#pragma GCC unroll 4
  for (int i = 0; i < rows; ++i)
    _mm512_mask_storeu_ps(c + i * stride, mask, _mm512_castps128_ps512(_mm_load_ps(rest + 4 * i)));
}

}  // namespace
