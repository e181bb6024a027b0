// The kernels of the matrix product in float, for whatever target the including file has set, which
// also says how many floats its registers hold (SRPO_GEMM_LANES): packing, the register tile, dot
// products, and what is done to finished sums.
#include "cpp/cpu/activation.h"
#include "cpp/cpu/gemm/gemm_kernels.h"
#include "cpp/cpu/vector.h"

#if SRPO_GEMM_LANES == 16
#include "cpp/cpu/gemm/gemm_transpose.h"
#endif

namespace {

using srpo::GemmOutput;
using srpo::cpu::GemmKernel;
using srpo::cpu::GemmTables;
using srpo::cpu::kDotRows;

// A register tile of kRows x (kVectors * kLanes). The 32 registers of AVX-512 hold 12 x 2 sums, two
// vectors of B and a value of A; 16 hold 6 x 2 (AVX2), or 4 x 2 and the products (SSE).
constexpr int kLanes = SRPO_GEMM_LANES, kVectors = 2;
constexpr int kRows = kLanes == 16 ? 12 : kLanes == 8 ? 6 : 4;
constexpr int kColumns = kVectors * kLanes;
constexpr int kDepth = 256;  // 32 columns of it are 32 KiB

using Vector = float __attribute__((vector_size(kLanes * 4)));
using VectorAt = float __attribute__((vector_size(kLanes * 4), aligned(4), may_alias));

SRPO_INLINE Vector load_vector(const float* p) {
  return *reinterpret_cast<const VectorAt*>(p);
}
SRPO_INLINE void store_vector(float* p, Vector v) {
  *reinterpret_cast<VectorAt*>(p) = v;
}

/// Element (i, k) of A is a[i * a_row + k * a_column].
template <int rows>
SRPO_INLINE void tile(float* c, const float* a, const float* b, int64_t depth, int64_t a_row,
                      int64_t a_column, int64_t b_stride, bool accumulate) {
  Vector sums[rows][kVectors] = {};
  for (int64_t k = 0; k < depth; ++k) {
    Vector column[kVectors];
#pragma GCC unroll 2
    for (int j = 0; j < kVectors; ++j) column[j] = load_vector(b + j * kLanes);
#pragma GCC unroll 12
    for (int i = 0; i < rows; ++i)
#pragma GCC unroll 2
      for (int j = 0; j < kVectors; ++j) sums[i][j] += a[i * a_row] * column[j];
    a += a_column;
    b += b_stride;
  }
#pragma GCC unroll 12
  for (int i = 0; i < rows; ++i)
#pragma GCC unroll 2
    for (int j = 0; j < kVectors; ++j) {
      float* to = c + i * kColumns + j * kLanes;
      store_vector(to, accumulate ? sums[i][j] + load_vector(to) : sums[i][j]);
    }
}

template <int rows>
void tile_of(float* c, const float* a, const float* b, int64_t depth, int64_t a_stride,
             int64_t b_stride, bool accumulate) {
  if (a_stride == 0 && b_stride == 0)
    tile<rows>(c, a, b, depth, 1, kRows, kColumns, accumulate);
  else if (a_stride == 0)
    tile<rows>(c, a, b, depth, 1, kRows, b_stride, accumulate);
  else
    tile<rows>(c, a, b, depth, a_stride, 1, b_stride == 0 ? kColumns : b_stride, accumulate);
}

void micro(float* c, const void* panel_a, const void* panel_b, int64_t depth, int64_t rows,
           int64_t a_stride, int64_t b_stride, bool accumulate) {
  const float* a = static_cast<const float*>(panel_a);
  const float* b = static_cast<const float*>(panel_b);
  if (a_stride == 0) {  // a panel has all its rows, whether they count or not
    const auto run = rows > 8   ? tile_of<kRows>
                     : rows > 4 ? tile_of<(kRows < 8 ? kRows : 8)>
                     : rows > 2 ? tile_of<4>
                     : rows > 1 ? tile_of<2>
                                : tile_of<1>;
    run(c, a, b, depth, a_stride, b_stride, accumulate);
    return;
  }
  while (rows > 0) {  // no row that is not there
    const int here = rows >= kRows            ? kRows
                     : kRows > 8 && rows >= 8 ? 8
                     : rows >= 4              ? 4
                     : rows >= 2              ? 2
                                              : 1;
    const auto run = here == kRows ? tile_of<kRows>
                     : here == 8   ? tile_of<(kRows < 8 ? kRows : 8)>
                     : here == 4   ? tile_of<4>
                     : here == 2   ? tile_of<2>
                                   : tile_of<1>;
    run(c, a, b, depth, a_stride, b_stride, accumulate);
    rows -= here;
    a += here * a_stride;
    c += here * kColumns;
  }
}

SRPO_INLINE float value_of(float v) {
  return v;
}
SRPO_INLINE float value_of(bf16_bits v) {
  const uint32_t u = static_cast<uint32_t>(v) << 16;
  float f;
  std::memcpy(&f, &u, sizeof f);
  return f;
}

/// Lines that lie along the depth.
template <typename T, int width>
void pack_along(float* panel, const T* from, int64_t lines, int64_t depth, int64_t line_stride) {
#if SRPO_GEMM_LANES == 16
  transpose_lines<width>(
      reinterpret_cast<uint32_t*>(panel), lines, depth, [&](int64_t line, int64_t k, __mmask16 m) {
        const T* p = from + line * line_stride + k;
        if constexpr (sizeof(T) == 4)
          return _mm512_maskz_loadu_epi32(m, p);
        else
          return _mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(m, p)), 16);
      });
#else
  for (int64_t i = 0; i < lines; ++i)
    for (int64_t k = 0; k < depth; ++k) panel[k * width + i] = value_of(from[i * line_stride + k]);
  for (int64_t i = lines; i < width; ++i)
    for (int64_t k = 0; k < depth; ++k) panel[k * width + i] = 0.f;
#endif
}

/// panel[k][width], floats.
template <typename T, int width>
void pack(void* to, const void* matrix, int64_t lines, int64_t depth, int64_t line_stride,
          int64_t depth_stride) {
  float* panel = static_cast<float*>(to);
  const T* from = static_cast<const T*>(matrix);
  if (depth_stride == 1 && line_stride != 1) {
    pack_along<T, width>(panel, from, lines, depth, line_stride);
    return;
  }
  if (line_stride == 1 && lines == width) {
    for (int64_t k = 0; k < depth; ++k)
      for (int i = 0; i < width; ++i) panel[k * width + i] = value_of(from[k * depth_stride + i]);
    return;
  }
  for (int64_t k = 0; k < depth; ++k)
    for (int64_t i = 0; i < width; ++i)
      panel[k * width + i] = i < lines ? value_of(from[i * line_stride + k * depth_stride]) : 0.f;
}

/// Four rows of A with four of B at a time; sums lie along the depth until the end.
template <typename T, int rows>
void dot_rows(float* c, const T* a, const T* b, int64_t depth, int64_t columns, int64_t a_stride,
              int64_t b_stride) {
  for (int64_t j = 0; j < columns; j += 4) {
    const T* line[4];
    for (int l = 0; l < 4; ++l) line[l] = b + (j + l < columns ? j + l : j) * b_stride;
    f32x16 sums[rows][4] = {};
    for_each_16(depth, [&](int64_t k, int64_t n) {
      f32x16 x[rows];
#pragma GCC unroll 4
      for (int i = 0; i < rows; ++i) x[i] = load_at(a + i * a_stride, k, n);
#pragma GCC unroll 4
      for (int l = 0; l < 4; ++l) {
        const f32x16 w = load_at(line[l], k, n);
#pragma GCC unroll 4
        for (int i = 0; i < rows; ++i) sums[i][l] += x[i] * w;
      }
    });
#if SRPO_GEMM_LANES == 16
    __m512 products[rows][4];
#pragma GCC unroll 4
    for (int i = 0; i < rows; ++i)
#pragma GCC unroll 4
      for (int l = 0; l < 4; ++l) products[i][l] = (__m512)sums[i][l];
    store_sums<rows>(c + j, kColumns, columns - j, products);
#else
    for (int i = 0; i < rows; ++i)
      for (int l = 0; l < 4 && j + l < columns; ++l) c[i * kColumns + j + l] = sum(sums[i][l]);
#endif
  }
}

template <typename T>
void dot(float* c, const void* a_rows, const void* b_rows, int64_t depth, int64_t rows,
         int64_t columns, int64_t a_stride, int64_t b_stride) {
  const T* a = static_cast<const T*>(a_rows);
  const T* b = static_cast<const T*>(b_rows);
  int64_t i = 0;
  for (; i + 4 <= rows; i += 4)
    dot_rows<T, 4>(c + i * kColumns, a + i * a_stride, b, depth, columns, a_stride, b_stride);
  for (; i < rows; ++i)
    dot_rows<T, 1>(c + i * kColumns, a + i * a_stride, b, depth, columns, a_stride, b_stride);
}

template <typename T, ActivationKind kind>
void finish_as(const GemmOutput& o, int64_t row, int64_t column, int64_t rows, int64_t columns,
               const float* sums, int64_t stride) {
  const T* bias = static_cast<const T*>(o.bias);
  for (int64_t i = 0; i < rows; ++i) {
    const int64_t at = (row + i) * o.stride + column;
    T* out = static_cast<T*>(o.out) + at;
    T* pre =
        o.pre == nullptr ? nullptr : static_cast<T*>(o.pre) + (row + i) * o.pre_stride + column;
    const T* residual = o.residual == nullptr ? nullptr : static_cast<const T*>(o.residual) + at;
    const T* gate = o.gate == nullptr ? nullptr
                                      : static_cast<const T*>(o.gate) +
                                            (row + i) / o.rows_of_sample * o.stride + column;
    for_each_16(columns, [&](int64_t j, int64_t n) {
      f32x16 v = load_at(sums + i * stride, j, n);
      if (bias != nullptr) v += load_at(bias + column, j, n);
      if (pre != nullptr) store_at(pre, j, v, n);
      v = activate<kind>(v);
      if (gate != nullptr) v *= load_at(gate, j, n);
      if (residual != nullptr) v += load_at(residual, j, n);
      if (o.accumulate) v += load_at(out, j, n);
      store_at(out, j, v, n);
    });
  }
}

/// out = sums * activation'(derivative_of)
template <typename T, ActivationKind kind>
void slope_as(const GemmOutput& o, int64_t row, int64_t column, int64_t rows, int64_t columns,
              const float* sums, int64_t stride) {
  for (int64_t i = 0; i < rows; ++i) {
    const int64_t at = (row + i) * o.stride + column;
    T* out = static_cast<T*>(o.out) + at;
    const T* of = static_cast<const T*>(o.derivative_of) + at;
    for_each_16(columns, [&](int64_t j, int64_t n) {
      const f32x16 slope = activation_derivative<kind>(load_at(of, j, n));
      store_at(out, j, load_at(sums + i * stride, j, n) * slope, n);
    });
  }
}

template <typename T>
void finish(const GemmOutput& output, int64_t row, int64_t column, int64_t rows, int64_t columns,
            const float* sums, int64_t stride) {
  visit_activation(output.activation, [&]<ActivationKind kind>() {
    const auto run = output.derivative_of != nullptr ? slope_as<T, kind> : finish_as<T, kind>;
    run(output, row, column, rows, columns, sums, stride);
  });
}

template <typename T>
constexpr GemmKernel kFloatKernel = {
    .mr = kRows,
    .nr = kColumns,
    .unit = 1,
    .element_bytes = sizeof(float),
    .depth = kDepth,
    .reads_a = sizeof(T) == sizeof(float),
    .reads_b = sizeof(T) == sizeof(float),
    .pack_a = pack<T, kRows>,
    .pack_b = pack<T, kColumns>,
    .micro = micro,
    .dot = dot<T>,
};

}  // namespace

namespace srpo::cpu {

extern const GemmTables SRPO_NAMED(gemm_) = {
    .f32 = kFloatKernel<float>,
    .bf16 = kFloatKernel<bf16_bits>,
    .finish_f32 = finish<float>,
    .finish_bf16 = finish<bf16_bits>,
};

}  // namespace srpo::cpu
