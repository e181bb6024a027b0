// The product on Hopper's tensor cores: TMA, wgmma, tiles dealt out to blocks that stay (gemm_kernel.cuh).
// bfloat16 with float sums, to bfloat16 with any epilogue, or added to float.
#pragma once
#include "cpp/core/stream.h"
#include "cpp/ops/gemm/gemm.h"
#include "cuda/gemm/gemm_plan.h"

namespace srpo::cuda {

/// Whether it takes the product: bfloat16, operands and output that the copy engine can move (bases and
/// rows of whole 16 bytes), large enough to be worth a tile.
bool takes_gemm_sm90(const Gemm& product);

/// For plan_gemm.
GemmSizes sizes_of(const Gemm& product);

/// Runs one that it takes, by the plan for the card or by a given one.
void gemm_sm90(const Gemm& product, Stream& stream);
void gemm_sm90(const Gemm& product, const GemmPlan& plan, Stream& stream);

}  // namespace srpo::cuda
