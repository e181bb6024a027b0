// First line of a kernel file for AVX-512 with bfloat16 dot products; nothing may be included above it.
#pragma GCC target( \
    "avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,prefer-vector-width=512")
/// The name that this target gives a table: SRPO_NAMED(add_) is add_avx512_bf16.
#define SRPO_NAMED(name) name##avx512_bf16
