// First line of a kernel file for AVX-512; nothing may be included above it.
#pragma GCC target("avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,prefer-vector-width=512")
/// The name that this target gives a table: SRPO_NAMED(add_) is add_avx512.
#define SRPO_NAMED(name) name##avx512
