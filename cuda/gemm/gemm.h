// The matrix product of the cuda column: for any sizes, strides and alignment. Sums run in float, in an
// order that the sizes alone decide.
#pragma once
#include "cpp/core/stream.h"
#include "cpp/ops/gemm/gemm.h"

namespace srpo::cuda {

void gemm(const Gemm& product, Stream& stream);
/// Two that do not touch what the other writes, in one launch where the Hopper product takes both.
void gemm_pair(const Gemm& a, const Gemm& b, Stream& stream);

}  // namespace srpo::cuda
