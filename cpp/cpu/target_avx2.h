// First line of a kernel file for AVX2; nothing may be included above it.
#pragma GCC target("avx2,fma,f16c")
// g++ 12 does not define what a pragma's target implies (only what -m options imply).
#ifndef __F16C__
#define __AVX2__ 1
#define __FMA__ 1
#define __F16C__ 1
#endif
/// The name that this target gives a table: SRPO_NAMED(add_) is add_avx2.
#define SRPO_NAMED(name) name##avx2
