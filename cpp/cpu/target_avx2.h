// First line of a kernel file for AVX2; nothing may be included above it.
#pragma GCC target("avx2,fma,f16c")
#define SRPO_TARGET avx2
