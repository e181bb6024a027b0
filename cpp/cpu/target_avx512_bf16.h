// First line of a kernel file for AVX-512 with bfloat16 dot products; nothing may be included above it.
#pragma GCC target( \
    "avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,prefer-vector-width=512")
// g++ 12 does not define what a pragma's target implies (only what -m options imply).
#ifndef __AVX512BF16__
#define __AVX2__ 1
#define __FMA__ 1
#define __F16C__ 1
#define __AVX512F__ 1
#define __AVX512BW__ 1
#define __AVX512DQ__ 1
#define __AVX512VL__ 1
#define __AVX512BF16__ 1
#endif
/// The name that this target gives a table: SRPO_NAMED(add_) is add_avx512_bf16.
#define SRPO_NAMED(name) name##avx512_bf16
