// The tensor cores a warp at a time: 8 x 8 tiles between shared memory and registers, and
// d += a b for 16 x 8 x 16 bfloat16. A register holds two neighbouring elements, the first in the low half.
//
// With g = lane / 4 and c = 2 (lane % 4), element pairs (row, column..column + 1):
//   a  [16, 16]  (g, c), (g + 8, c), (g, c + 8), (g + 8, c + 8)
//   b  [16, 8]   rows c..c + 1 of column g, rows c + 8..c + 9 of column g
//   d  [16, 8]   floats (g, c), (g, c + 1), (g + 8, c), (g + 8, c + 1)
// Source: PTX ISA 8.7, sections 9.7.14.5 (mma, ldmatrix, stmatrix).
#pragma once
#include "cuda/common/async_copy.cuh"
#include "cuda/common/warp.cuh"

namespace srpo::cuda {

#ifdef __CUDACC__

SRPO_DEVICE unsigned pack_bfloat16(float low, float high) {
  unsigned packed;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(packed) : "f"(high), "f"(low));
  return packed;
}

SRPO_DEVICE float unpack_bfloat16(unsigned packed, int which) {
  return __uint_as_float(which == 0 ? packed << 16 : packed & 0xffff0000u);
}

template <bool kTransposed = false>
SRPO_DEVICE void load_matrices(unsigned (&r)[4], const void* row) {
  if constexpr (kTransposed)
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                 : "r"(shared_address(row))
                 : "memory");
  else
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                 : "r"(shared_address(row))
                 : "memory");
}

template <bool kTransposed = false>
SRPO_DEVICE void store_matrices(void* row, const unsigned (&r)[4]) {
  if constexpr (kTransposed)
    asm volatile("stmatrix.sync.aligned.m8n8.x4.trans.shared.b16 [%0], {%1, %2, %3, %4};" ::"r"(
                     shared_address(row)),
                 "r"(r[0]), "r"(r[1]), "r"(r[2]), "r"(r[3])
                 : "memory");
  else
    asm volatile("stmatrix.sync.aligned.m8n8.x4.shared.b16 [%0], {%1, %2, %3, %4};" ::"r"(
                     shared_address(row)),
                 "r"(r[0]), "r"(r[1]), "r"(r[2]), "r"(r[3])
                 : "memory");
}

SRPO_DEVICE void multiply_add(float (&d)[4], const unsigned (&a)[4], const unsigned (&b)[2]) {
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, "
      "{%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

#else

/// Two floats, rounded, in one register.
SRPO_DEVICE unsigned pack_bfloat16(float low, float high) {
  return static_cast<unsigned>(bfloat16(low).bits) |
         (static_cast<unsigned>(bfloat16(high).bits) << 16);
}

/// The first or the second of two.
SRPO_DEVICE float unpack_bfloat16(unsigned packed, int which) {
  return __builtin_bit_cast(float, which == 0 ? packed << 16 : packed & 0xffff0000u);
}

/// Four 8 x 8 tiles of 16-bit elements; lane i names row i % 8 of tile i / 8, 16 aligned bytes. Register j
/// of a lane gets the pair of tile j that `b` above describes, of the transposed tile if asked.
template <bool kTransposed = false>
SRPO_DEVICE void load_matrices(unsigned (&r)[4], const void* row) {
  emulation::load_matrices(r, row, kTransposed);
}

/// The way back.
template <bool kTransposed = false>
SRPO_DEVICE void store_matrices(void* row, const unsigned (&r)[4]) {
  emulation::store_matrices(row, r, kTransposed);
}

SRPO_DEVICE void multiply_add(float (&d)[4], const unsigned (&a)[4], const unsigned (&b)[2]) {
  emulation::multiply_add(d, a, b);
}

#endif

}  // namespace srpo::cuda
