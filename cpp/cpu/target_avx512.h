// First line of a kernel file for AVX-512; nothing may be included above it.
#pragma GCC target("avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,prefer-vector-width=512")
#define SRPO_TARGET avx512
