// The product on Hopper's tensor cores: TMA, wgmma, tiles dealt out to blocks that stay (gemm_kernel.cuh).
// bfloat16 with float sums, to bfloat16 with any epilogue, or added to float.
#pragma once
#include <span>

#include "cpp/core/stream.h"
#include "cpp/ops/gemm/gemm.h"
#include "cuda/gemm/gemm_plan.h"

namespace srpo::cuda {

/// Whether it takes the product: bfloat16, operands and output that the copy engine can move (bases and
/// rows of whole 16 bytes), large enough to be worth a tile.
bool takes_gemm_sm90(const Gemm& product);

/// What one launch computes: a product, or two that go together.
using Gemms = std::span<const Gemm>;

/// Whether two that it takes can run in one launch: of the same way and N, where what is done with the sums
/// of the one is done with those of the other. M and K are each one's own.
bool go_together(const Gemm& a, const Gemm& b);

/// For plan_gemm.
GemmSizes sizes_of(Gemms products);

/// Runs what it takes, by the plan for the card or by a given one.
void gemm_sm90(Gemms products, Stream& stream);
void gemm_sm90(Gemms products, const GemmPlan& plan, Stream& stream);

}  // namespace srpo::cuda
