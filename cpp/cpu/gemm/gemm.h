// The matrix product of the cpu column: blocked, packed, on all threads.
//
// Sums run in float, along K in an order that depends on neither the number of threads nor the
// place of the element. One call at a time: the caller is the stream's thread, outside
// parallel_blocks. What the pointers name is not kept after the call.
#pragma once
#include "cpp/ops/gemm/gemm.h"

namespace srpo::cpu {

void gemm(const Gemm& product);

}  // namespace srpo::cpu
