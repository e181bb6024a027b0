// The matrix product from bfloat16 by dot products of pairs (AVX512_BF16): twice the multiplications
// an instruction of float. Panels hold pairs along the depth, one a 32-bit word; rows of A are such
// pairs as they lie in memory. Subnormal products count as zero, as the instruction has it.
#include "cpp/cpu/target_avx512_bf16.h"

#include "cpp/cpu/vector.h"

#include "cpp/cpu/gemm/gemm_kernels.h"
#include "cpp/cpu/gemm/gemm_pairs.h"

#include <cstring>

namespace {

using srpo::GemmOutput;
using srpo::cpu::GemmKernel;

constexpr int kRows = 12, kVectors = 2, kColumns = 16 * kVectors;
constexpr int kDepth = 1024;

[[gnu::always_inline]] inline __m512 add_products(__m512 sums, __m512i a, __m512i b) {
  return _mm512_dpbf16_ps(sums, (__m512bh)a, (__m512bh)b);
}
[[gnu::always_inline]] inline __m512i splat_pair(const uint16_t* p) {
  int32_t pair;
  std::memcpy(&pair, p, sizeof pair);
  return _mm512_set1_epi32(pair);
}

/// sums += A B over `pairs` steps along the depth; both pointers move on. Pair (i, k) of A begins at
/// a[i * a_row + k * a_column], elements.
template <int rows>
[[gnu::always_inline]] inline void multiply(__m512 (&sums)[rows][kVectors], const uint16_t*& a,
                                            const uint16_t*& b, int64_t pairs, int64_t a_row,
                                            int64_t a_column) {
  for (int64_t k = 0; k < pairs; ++k) {
    __m512i column[kVectors];
#pragma GCC unroll 2
    for (int j = 0; j < kVectors; ++j) column[j] = _mm512_loadu_si512(b + j * 32);
#pragma GCC unroll 12
    for (int i = 0; i < rows; ++i) {
      const __m512i pair = splat_pair(a + i * a_row);
#pragma GCC unroll 2
      for (int j = 0; j < kVectors; ++j) sums[i][j] = add_products(sums[i][j], pair, column[j]);
    }
    a += a_column;
    b += 2 * kColumns;
  }
}

/// The odd element at the end of rows read from the matrix itself, which stands alone.
template <int rows>
[[gnu::always_inline]] inline void multiply_odd(__m512 (&sums)[rows][kVectors], const uint16_t* a,
                                                const uint16_t* b, int64_t a_row) {
#pragma GCC unroll 12
  for (int i = 0; i < rows; ++i)
#pragma GCC unroll 2
    for (int j = 0; j < kVectors; ++j)
      sums[i][j] =
          add_products(sums[i][j], _mm512_set1_epi32(a[i * a_row]), _mm512_loadu_si512(b + j * 32));
}

template <int rows>
[[gnu::always_inline]] inline void tile(float* c, const uint16_t* a, const uint16_t* b,
                                        int64_t pairs, bool odd, int64_t a_row, int64_t a_column,
                                        bool accumulate) {
  __m512 sums[rows][kVectors] = {};
  multiply<rows>(sums, a, b, pairs, a_row, a_column);
  if (odd) multiply_odd<rows>(sums, a, b, a_row);
#pragma GCC unroll 12
  for (int i = 0; i < rows; ++i)
#pragma GCC unroll 2
    for (int j = 0; j < kVectors; ++j) {
      float* to = c + i * kColumns + j * 16;
      _mm512_storeu_ps(to, accumulate ? sums[i][j] + _mm512_loadu_ps(to) : sums[i][j]);
    }
}

constexpr int64_t kPairsToFetch = 64;  // steps before the end at which the output is asked for

/// A whole tile whose sums go from registers to the output.
template <typename T, bool in_place>
void tile_out(const GemmOutput& o, int64_t row, int64_t column, const float* before,
              const uint16_t* a, const uint16_t* b, int64_t depth, int64_t a_stride) {
  const int64_t a_row = in_place ? a_stride : 2, a_column = in_place ? 2 : 2 * kRows;
  const int64_t pairs = in_place ? depth / 2 : (depth + 1) / 2;
  const int64_t last = pairs < kPairsToFetch ? pairs : kPairsToFetch;
  T* out = static_cast<T*>(o.out) + row * o.stride + column;
  __m512 sums[kRows][kVectors] = {};
  multiply<kRows>(sums, a, b, pairs - last, a_row, a_column);
#pragma GCC unroll 12
  for (int i = 0; i < kRows; ++i)
    for (int j = 0; j < kColumns; j += 64 / sizeof(T))
      __builtin_prefetch(out + i * o.stride + j, 1);
  multiply<kRows>(sums, a, b, last, a_row, a_column);
  if (in_place && depth % 2 != 0) multiply_odd<kRows>(sums, a, b, a_row);
  if (before != nullptr)
#pragma GCC unroll 12
    for (int i = 0; i < kRows; ++i)
#pragma GCC unroll 2
      for (int j = 0; j < kVectors; ++j)
        sums[i][j] += _mm512_loadu_ps(before + i * kColumns + j * 16);
#pragma GCC unroll 2
  for (int j = 0; j < kVectors; ++j) {
    if (o.bias != nullptr) {
      const __m512 bias = (__m512)load(static_cast<const T*>(o.bias) + column + j * 16);
#pragma GCC unroll 12
      for (int i = 0; i < kRows; ++i) sums[i][j] += bias;
    }
    if (o.accumulate)
#pragma GCC unroll 12
      for (int i = 0; i < kRows; ++i) sums[i][j] += (__m512)load(out + i * o.stride + j * 16);
#pragma GCC unroll 12
    for (int i = 0; i < kRows; ++i) store(out + i * o.stride + j * 16, (f32x16)sums[i][j]);
  }
}

template <typename T>
void micro_out(const GemmOutput& output, int64_t row, int64_t column, const float* before,
               const void* panel_a, const void* panel_b, int64_t depth, int64_t a_stride) {
  const auto run = a_stride == 0 ? tile_out<T, false> : tile_out<T, true>;
  run(output, row, column, before, static_cast<const uint16_t*>(panel_a),
      static_cast<const uint16_t*>(panel_b), depth, a_stride);
}

template <int rows>
void tile_of(float* c, const uint16_t* a, const uint16_t* b, int64_t depth, int64_t a_stride,
             bool accumulate) {
  if (a_stride == 0)
    tile<rows>(c, a, b, (depth + 1) / 2, false, 2, 2 * kRows, accumulate);
  else
    tile<rows>(c, a, b, depth / 2, depth % 2 != 0, a_stride, 2, accumulate);
}

void micro(float* c, const void* panel_a, const void* panel_b, int64_t depth, int64_t rows,
           int64_t a_stride, int64_t, bool accumulate) {
  const uint16_t* a = static_cast<const uint16_t*>(panel_a);
  const uint16_t* b = static_cast<const uint16_t*>(panel_b);
  if (a_stride == 0) {  // a panel has all its rows, whether they count or not
    const auto run = rows > 8   ? tile_of<12>
                     : rows > 4 ? tile_of<8>
                     : rows > 2 ? tile_of<4>
                     : rows > 1 ? tile_of<2>
                                : tile_of<1>;
    run(c, a, b, depth, 0, accumulate);
    return;
  }
  while (rows > 0) {  // no row that is not there
    const int here = rows >= 12 ? 12 : rows >= 8 ? 8 : rows >= 4 ? 4 : rows >= 2 ? 2 : 1;
    const auto run = here == 12  ? tile_of<12>
                     : here == 8 ? tile_of<8>
                     : here == 4 ? tile_of<4>
                     : here == 2 ? tile_of<2>
                                 : tile_of<1>;
    run(c, a, b, depth, a_stride, accumulate);
    rows -= here;
    a += here * a_stride;
    c += here * kColumns;
  }
}

template <int rows>
void dot_rows(float* c, const uint16_t* a, const uint16_t* b, int64_t depth, int64_t columns,
              int64_t a_stride, int64_t b_stride) {
  for (int64_t j = 0; j < columns; j += 4) {
    const uint16_t* line[4];
    for (int l = 0; l < 4; ++l) line[l] = b + (j + l < columns ? j + l : j) * b_stride;
    __m512 sums[rows][4] = {};
    const auto step = [&](int64_t k, __mmask32 mask) __attribute__((always_inline)) {
      __m512i x[rows];
#pragma GCC unroll 4
      for (int i = 0; i < rows; ++i) x[i] = _mm512_maskz_loadu_epi16(mask, a + i * a_stride + k);
#pragma GCC unroll 4
      for (int l = 0; l < 4; ++l) {
        const __m512i w = _mm512_maskz_loadu_epi16(mask, line[l] + k);
#pragma GCC unroll 4
        for (int i = 0; i < rows; ++i) sums[i][l] = add_products(sums[i][l], x[i], w);
      }
    };
    int64_t k = 0;
    for (; k + 32 <= depth; k += 32) step(k, 0xffffffffu);
    if (k < depth) step(k, (1u << (depth - k)) - 1);
    store_sums<rows>(c + j, kColumns, columns - j, sums);
  }
}

void dot(float* c, const void* a_rows, const void* b_rows, int64_t depth, int64_t rows,
         int64_t columns, int64_t a_stride, int64_t b_stride) {
  const uint16_t* a = static_cast<const uint16_t*>(a_rows);
  const uint16_t* b = static_cast<const uint16_t*>(b_rows);
  int64_t i = 0;
  for (; i + 4 <= rows; i += 4)
    dot_rows<4>(c + i * kColumns, a + i * a_stride, b, depth, columns, a_stride, b_stride);
  for (; i < rows; ++i)
    dot_rows<1>(c + i * kColumns, a + i * a_stride, b, depth, columns, a_stride, b_stride);
}

}  // namespace

namespace srpo::cpu {

extern const GemmKernel gemm_avx512_bf16 = {
    .mr = kRows,
    .nr = kColumns,
    .unit = 2,
    .element_bytes = sizeof(uint16_t),
    .depth = kDepth,
    .reads_a = true,
    .reads_b = false,
    .pack_a = pack_pairs<kRows>,
    .pack_b = pack_pairs<kColumns>,
    .micro = micro,
    .micro_out_f32 = micro_out<float>,
    .micro_out_bf16 = micro_out<bf16_bits>,
    .dot = dot,
};

}  // namespace srpo::cpu
