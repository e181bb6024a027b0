// The matrix product from bfloat16 on the tile registers of AMX: four accumulators of 16 x 16, two
// tiles of A, two of B, all eight registers. A tile of A is 16 rows of 32 elements along the depth, one
// of B 16 pairs of the depth by 16 columns. Subnormals count as zero, as the instruction has it.
#pragma GCC target( \
    "avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,amx-tile,amx-bf16,prefer-vector-width=512")
#include <cstring>

#include "cpp/cpu/gemm/gemm_kernels.h"
#include "cpp/cpu/gemm/gemm_pairs.h"

namespace {

using srpo::cpu::GemmKernel;

constexpr int kSize = 32, kUnit = 32;  // rows and columns of a register tile; depth of a step
constexpr int kDepth = 512;
constexpr int kRowBytes = 64;  // of a tile register, which has 16 such rows

/// What the eight registers hold; 64 bytes, as the instruction reads them.
struct Configuration {
  uint8_t palette = 1, start_row = 0, reserved[14] = {};
  uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
  uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
};

/// A thread's registers are set up when it first gets here, and stay so.
void set_up() {
  static thread_local bool done = false;
  if (done) return;
  static const Configuration configuration;
  _tile_loadconfig(&configuration);
  done = true;
}

void micro(float* c, const void* panel_a, const void* panel_b, int64_t depth, int64_t rows, int64_t,
           int64_t, bool accumulate) {
  set_up();
  asm volatile("" ::: "memory");  // the tile loads of GCC 12 do not say that they read memory
  const char* a = static_cast<const char*>(panel_a);
  const char* b = static_cast<const char*>(panel_b);
  constexpr int kStride = kSize * 4;  // bytes of a row of c, and of a row of pairs of a panel of B
  const bool lower = rows > 16;
  _tile_zero(0);
  _tile_zero(1);
  _tile_zero(2);
  _tile_zero(3);
  if (accumulate) {
    _tile_loadd(0, c, kStride);
    _tile_loadd(1, c + 16, kStride);
    if (lower) {
      _tile_loadd(2, c + 16 * kSize, kStride);
      _tile_loadd(3, c + 16 * kSize + 16, kStride);
    }
  }
  for (int64_t k = 0; k < depth; k += kUnit) {
    _tile_loadd(4, a, kRowBytes);
    _tile_loadd(6, b, kStride);
    _tile_loadd(7, b + kRowBytes, kStride);
    _tile_dpbf16ps(0, 4, 6);
    _tile_dpbf16ps(1, 4, 7);
    if (lower) {
      _tile_loadd(5, a + 16 * kRowBytes, kRowBytes);
      _tile_dpbf16ps(2, 5, 6);
      _tile_dpbf16ps(3, 5, 7);
    }
    a += kSize * kRowBytes;
    b += kUnit / 2 * kStride;
  }
  _tile_stored(0, c, kStride);
  _tile_stored(1, c + 16, kStride);
  if (lower) {
    _tile_stored(2, c + 16 * kSize, kStride);
    _tile_stored(3, c + 16 * kSize + 16, kStride);
  }
}

/// panel[depth / 32][row][32]
void pack_a(void* panel, const void* matrix, int64_t lines, int64_t depth, int64_t line_stride,
            int64_t depth_stride) {
  uint16_t* to = static_cast<uint16_t*>(panel);
  const uint16_t* from = static_cast<const uint16_t*>(matrix);
  for (int64_t k = 0; k < depth; k += kUnit, to += kSize * kUnit) {
    const int64_t count = depth - k < kUnit ? depth - k : kUnit;
    if (depth_stride == 1) {
      const __mmask32 mask = count == 32 ? 0xffffffffu : (1u << count) - 1;
      for (int64_t i = 0; i < kSize; ++i)
        _mm512_storeu_si512(to + i * kUnit,
                            i < lines ? _mm512_maskz_loadu_epi16(mask, from + i * line_stride + k)
                                      : _mm512_setzero_si512());
      continue;
    }
    // Pairs of the depth for sixteen rows at a time, then transposed.
    for (int64_t first = 0; first < kSize; first += 16) {
      uint32_t pairs[16 * 16];
      const int64_t here = lines - first < 0 ? 0 : lines - first < 16 ? lines - first : 16;
      std::memset(pairs, 0, sizeof pairs);
      pack_pairs<16>(pairs, from + first * line_stride + k * depth_stride, here, count, line_stride,
                     depth_stride);
      __m512i v[16];
#pragma GCC unroll 16
      for (int i = 0; i < 16; ++i) v[i] = _mm512_loadu_si512(pairs + 16 * i);
      transpose_16(v);
#pragma GCC unroll 16
      for (int i = 0; i < 16; ++i) _mm512_storeu_si512(to + (first + i) * kUnit, v[i]);
    }
  }
}

/// Pairs, with zeros up to a whole step.
void pack_b(void* panel, const void* matrix, int64_t lines, int64_t depth, int64_t line_stride,
            int64_t depth_stride) {
  pack_pairs<kSize>(panel, matrix, lines, depth, line_stride, depth_stride);
  uint32_t* to = static_cast<uint32_t*>(panel);
  const int64_t pairs = (depth + 1) / 2, padded = (depth + kUnit - 1) / kUnit * (kUnit / 2);
  std::memset(to + pairs * kSize, 0, static_cast<size_t>((padded - pairs) * kSize) * 4);
}

}  // namespace

namespace srpo::cpu {

extern const GemmKernel gemm_amx_bf16 = {
    .mr = kSize,
    .nr = kSize,
    .unit = kUnit,
    .element_bytes = sizeof(uint16_t),
    .depth = kDepth,
    .reads_a = false,
    .reads_b = false,
    .pack_a = pack_a,
    .pack_b = pack_b,
    .micro = micro,
    .dot = nullptr,
};

}  // namespace srpo::cpu
