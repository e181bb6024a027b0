// First line of a kernel file for AVX2; nothing may be included above it.
#pragma GCC target("avx2,fma,f16c")
/// The name that this target gives a table: SRPO_NAMED(add_) is add_avx2.
#define SRPO_NAMED(name) name##avx2
