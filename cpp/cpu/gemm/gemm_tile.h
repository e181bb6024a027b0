// The kernels of the matrix product for whatever target the including file has set: packing, the
// register tile, and what is done to finished sums.
#include "cpp/cpu/activation.h"
#include "cpp/cpu/gemm/gemm_kernels.h"
#include "cpp/cpu/vector.h"

namespace {

using srpo::cpu::GemmKernel;
using srpo::cpu::GemmOutput;
using srpo::cpu::GemmTables;

// A register tile of kRows x (kVectors * lanes). 32 registers on AVX-512 hold 12 x 2 sums, two
// vectors of B and a value of A; 16 hold 6 x 2 (AVX2), or 4 x 2 and the products (SSE).
#if defined(__AVX512F__)
using Vector = f32x16;
constexpr int kRows = 12, kVectors = 2;
#elif defined(__AVX2__)
using Vector = float __attribute__((vector_size(32)));
constexpr int kRows = 6, kVectors = 2;
#else
using Vector = float __attribute__((vector_size(16)));
constexpr int kRows = 4, kVectors = 2;
#endif
constexpr int kLanes = sizeof(Vector) / sizeof(float);
constexpr int kColumns = kVectors * kLanes;
constexpr int kDepth = 256;  // 32 columns of it are 32 KiB

void micro(float* c, int64_t stride, const void* panel_a, const void* panel_b, int64_t depth,
           bool accumulate) {
  const float* a = static_cast<const float*>(panel_a);
  const float* b = static_cast<const float*>(panel_b);
  Vector sums[kRows][kVectors] = {};
  for (int64_t k = 0; k < depth; ++k) {
    Vector column[kVectors];
    std::memcpy(&column, b, sizeof column);
#pragma GCC unroll 16
    for (int i = 0; i < kRows; ++i)
#pragma GCC unroll 4
      for (int j = 0; j < kVectors; ++j) sums[i][j] += a[i] * column[j];
    a += kRows;
    b += kColumns;
  }
#pragma GCC unroll 16
  for (int i = 0; i < kRows; ++i) {
    float* to = c + i * stride;
    if (accumulate) {
      Vector before[kVectors];
      std::memcpy(&before, to, sizeof before);
      for (int j = 0; j < kVectors; ++j) sums[i][j] += before[j];
    }
    std::memcpy(to, &sums[i], sizeof sums[i]);
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

/// Sixteen rows of sixteen, transposed in registers' worth of memory that the compiler keeps in them.
template <typename T>
SRPO_INLINE void transpose_16(float* to, int64_t to_stride, const T* from, int64_t from_stride,
                              int lines) {
  for (int i = 0; i < lines; ++i)
    for (int k = 0; k < 16; ++k) to[k * to_stride + i] = value_of(from[i * from_stride + k]);
}

/// One panel: to[k][width].
template <typename T, int width>
void pack(void* panel, const void* matrix, int64_t lines, int64_t depth, int64_t line_stride,
          int64_t depth_stride) {
  float* to = static_cast<float*>(panel);
  const T* from = static_cast<const T*>(matrix);
  if (lines < width) std::memset(to, 0, sizeof(float) * static_cast<size_t>(depth * width));
  if (line_stride == 1) {
    if (lines == width) {
      for (int64_t k = 0; k < depth; ++k)
        for (int i = 0; i < width; ++i) to[k * width + i] = value_of(from[k * depth_stride + i]);
    } else {
      for (int64_t k = 0; k < depth; ++k)
        for (int i = 0; i < lines; ++i) to[k * width + i] = value_of(from[k * depth_stride + i]);
    }
    return;
  }
  int64_t k = 0;
  if (depth_stride == 1)
    for (; k + 16 <= depth; k += 16)
      transpose_16(to + k * width, width, from + k, line_stride, static_cast<int>(lines));
  for (; k < depth; ++k)
    for (int64_t i = 0; i < lines; ++i)
      to[k * width + i] = value_of(from[i * line_stride + k * depth_stride]);
}

template <typename T, ActivationKind kind>
void finish_as(const GemmOutput& o, int64_t row, int64_t column, int64_t rows, int64_t columns,
               const float* sums, int64_t stride) {
  const T* bias = static_cast<const T*>(o.bias);
  for (int64_t i = 0; i < rows; ++i) {
    const int64_t at = (row + i) * o.stride + column;
    T* out = static_cast<T*>(o.out) + at;
    T* pre = o.pre == nullptr ? nullptr : static_cast<T*>(o.pre) + at;
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

template <typename T>
void finish(const GemmOutput& output, int64_t row, int64_t column, int64_t rows, int64_t columns,
            const float* sums, int64_t stride) {
  visit_activation(output.activation, [&]<ActivationKind kind>() {
    finish_as<T, kind>(output, row, column, rows, columns, sums, stride);
  });
}

template <typename T>
constexpr GemmKernel kFloatKernel = {
    .mr = kRows,
    .nr = kColumns,
    .unit = 1,
    .element_bytes = sizeof(float),
    .depth = kDepth,
    .pack_a = pack<T, kRows>,
    .pack_b = pack<T, kColumns>,
    .micro = micro,
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
