#pragma once
#include <cstdint>

#include "cpp/cpu/gemm/gemm_output.h"

namespace srpo::cpu {

/// Copies a block of a matrix into panels of `width` rows (of A) or columns (of B): `lines` of them
/// from `from`, `line_stride` apart, each `depth` elements `depth_stride` apart. Missing lines and
/// what fills depth up to a whole unit are zeros.
using GemmPack = void (*)(void* to, const void* from, int64_t lines, int64_t depth,
                          int64_t line_stride, int64_t depth_stride);

/// c[mr, nr] (row-major, `stride` floats a row) = or += the product of two panels of `depth`.
using GemmMicro = void (*)(float* c, int64_t stride, const void* a, const void* b, int64_t depth,
                           bool accumulate);

/// The sums of a tile to where they belong; `out` and its companions already point to the batch.
using GemmFinish = void (*)(const GemmOutput& output, int64_t row, int64_t column, int64_t rows,
                            int64_t columns, const float* sums, int64_t stride);

/// One way to multiply: the shape of its register tile, how it wants its panels, its functions.
struct GemmKernel {
  int mr, nr;
  int unit;           // depth is padded to a multiple
  int element_bytes;  // of a panel
  int depth;          // depth of a block: a panel of B stays in the first-level cache
  GemmPack pack_a, pack_b;
  GemmMicro micro;
};

struct GemmTables {
  GemmKernel f32;   // from float
  GemmKernel bf16;  // from bfloat16
  GemmFinish finish_f32, finish_bf16;
};

extern const GemmTables gemm_generic;
extern const GemmTables gemm_avx2;
extern const GemmTables gemm_avx512;

}  // namespace srpo::cpu
