// The matrix product of the cuda column: for any sizes, strides and alignment. Sums run in float, in an
// order that the sizes alone decide.
#pragma once
#include "cpp/core/stream.h"
#include "cpp/ops/gemm/gemm.h"

namespace srpo::cuda {

void gemm(const Gemm& product, Stream& stream);

}  // namespace srpo::cuda
