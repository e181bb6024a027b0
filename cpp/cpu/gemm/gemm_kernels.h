#pragma once
#include <cstdint>

#include "cpp/ops/gemm/gemm_output.h"

namespace srpo::cpu {

/// Copies a block of a matrix into a panel of mr rows (of A) or nr columns (of B): `lines` of them,
/// at most the panel's width, `line_stride` apart, each `depth` elements `depth_stride` apart. Missing
/// lines, and what fills depth up to a whole unit, are zeros. A panel of A may be written 64 bytes
/// past its end.
using GemmPack = void (*)(void* panel, const void* from, int64_t lines, int64_t depth,
                          int64_t line_stride, int64_t depth_stride);

/// c[rows, nr], rows at most mr, nr floats a row, = or += A B. A is a panel, or, with a_stride above
/// 0, rows of the matrix itself, a_stride elements apart. B is a panel, or, with b_stride above 0,
/// rows of the matrix itself, each nr elements or more. See GemmKernel for what is allowed.
using GemmMicro = void (*)(float* c, const void* a, const void* b, int64_t depth, int64_t rows,
                           int64_t a_stride, int64_t b_stride, bool accumulate);

/// The last block of a whole tile, mr by nr, for an output that takes a bias or is added to and nothing
/// else: the sums go there from registers. `before` are the sums of the blocks before, or null. B is a
/// panel. The same bits as GemmMicro and GemmFinish.
using GemmMicroOut = void (*)(const GemmOutput& output, int64_t row, int64_t column,
                              const float* before, const void* a, const void* b, int64_t depth,
                              int64_t a_stride);

/// c[rows, nr], rows at most dot_rows, = A B^T for rows of A and B that lie along the depth: for so
/// few rows of A that packing B would not pay. `columns` rows of B are there.
using GemmDot = void (*)(float* c, const void* a, const void* b, int64_t depth, int64_t rows,
                         int64_t columns, int64_t a_stride, int64_t b_stride);

/// The sums of a tile to where they belong; `out` and its companions already point to the batch.
using GemmFinish = void (*)(const GemmOutput& output, int64_t row, int64_t column, int64_t rows,
                            int64_t columns, const float* sums, int64_t stride);

/// One way to multiply: the shape of its register tile, how it wants its panels, its functions.
struct GemmKernel {
  int mr, nr;
  int unit;           // depth is padded to a multiple
  int element_bytes;  // of a panel
  int depth;          // of a block, at most: its panels of A stay in the second-level cache
  bool reads_a;       // micro can do without a panel of A whose rows lie along the depth
  bool reads_b;       // ... of B whose rows lie along the columns
  GemmPack pack_a, pack_b;
  GemmMicro micro;
  GemmMicroOut micro_out_f32 = nullptr, micro_out_bf16 = nullptr;  // by the output's dtype
  GemmDot dot;
};

/// Rows of A up to which `dot` is used.
constexpr int64_t kDotRows = 40;

struct GemmTables {
  GemmKernel f32;   // from float
  GemmKernel bf16;  // from bfloat16
  GemmFinish finish_f32, finish_bf16;
};

extern const GemmTables gemm_generic;
extern const GemmTables gemm_avx2;
extern const GemmTables gemm_avx512;
/// From bfloat16, by dot products of pairs.
extern const GemmKernel gemm_avx512_bf16;
/// From bfloat16, on tile registers.
extern const GemmKernel gemm_amx_bf16;

}  // namespace srpo::cpu
