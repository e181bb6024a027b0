#pragma once

namespace srpo::cpu {

/// What this machine's cores can do, found out once. A kernel family keeps one table of functions an
/// instruction set and takes the best that is there.
struct Isa {
  bool avx2 = false;         // and FMA, F16C
  bool avx512 = false;       // F, BW, DQ, VL
  bool avx512_bf16 = false;  // dot products of bfloat16 pairs
  bool amx_bf16 = false;     // tiles, and the kernel granted them to this process
};

const Isa& isa();
/// A kernel on tiles failed its check: isa_text() says so from now on.
void distrust_amx();
/// "avx512 avx512_bf16", for doctor and bench.
const char* isa_text();

/// The best of a family's tables for this machine.
template <typename Kernels>
const Kernels& best_of(const Kernels& generic, const Kernels& avx2, const Kernels& avx512) {
  return isa().avx512 ? avx512 : isa().avx2 ? avx2 : generic;
}

}  // namespace srpo::cpu
