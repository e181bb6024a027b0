// Panels of bfloat16 pairs along the depth, one a 32-bit word; for kernel files that a target pragma
// with AVX-512 stands above.
#pragma once
#include "cpp/cpu/gemm/gemm_transpose.h"

namespace {

constexpr int64_t kAhead = 128;  // elements asked for before they are read

/// panel[k / 2][width], pairs (see GemmPack).
template <int width>
void pack_pairs(void* to, const void* matrix, int64_t lines, int64_t depth, int64_t line_stride,
                int64_t depth_stride) {
  uint32_t* panel = static_cast<uint32_t*>(to);
  const uint16_t* from = static_cast<const uint16_t*>(matrix);
  int64_t k = 0;  // pairs done
  if (depth_stride == 1 && line_stride != 1) {
    k = depth / 2;
    transpose_lines<width>(panel, lines, k, [&](int64_t line, int64_t word, __mmask16 mask) {
      const uint16_t* at = from + line * line_stride + 2 * word;
      __builtin_prefetch(at + kAhead);
      return _mm512_maskz_loadu_epi32(mask, at);
    });
  } else if (line_stride == 1) {
    for (; k < depth / 2; ++k) {
      const uint16_t* first = from + 2 * k * depth_stride;
      for (int64_t i = 0; i < width; i += 16) {
        const int64_t here = lines - i;
        const __mmask16 mask = here >= 16  ? 0xffff
                               : here <= 0 ? 0
                                           : static_cast<__mmask16>((1u << here) - 1);
        const __m512i low = _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(mask, first + i));
        const __m512i high =
            _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(mask, first + depth_stride + i));
        _mm512_storeu_si512(panel + k * width + i,
                            _mm512_or_si512(low, _mm512_slli_epi32(high, 16)));
      }
    }
  }
  for (; 2 * k < depth; ++k)
    for (int64_t i = 0; i < width; ++i) {
      uint32_t pair = 0;
      if (i < lines) {
        const uint16_t* p = from + i * line_stride + 2 * k * depth_stride;
        pair = p[0] | (2 * k + 1 < depth ? static_cast<uint32_t>(p[depth_stride]) << 16 : 0u);
      }
      panel[k * width + i] = pair;
    }
}

}  // namespace
