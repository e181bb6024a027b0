#pragma once
#include "cpp/cpu/gemm/gemm_kernels.h"

namespace srpo::cpu {

/// Whether a kernel from bfloat16 gets a small random problem right, packed both ways, in one block of
/// depth and in two. For instructions that the machine at hand may lack or have wrong.
bool multiplies_right(const GemmKernel& kernel);

}  // namespace srpo::cpu
