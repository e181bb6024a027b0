// Attention on the tensor cores, a warp's products at a time (mma): bfloat16, the head sizes of FLUX.1,
// CLIP, ViT-H and T5. The step between the plain kernels of attention.cu, which take every size, and
// Hopper's own form with TMA and wgmma.
#pragma once
#include "cpp/ops/attention/attention.h"

namespace srpo::cuda {

/// Runs the op if its dtype, head size and alignment are such; false if not.
bool attention_forward_mma(const AttentionForward& op, Stream& stream);

/// The same for dq, dk and dv; `delta` [B, N, Lq] is <dout, out> of each row.
bool attention_backward_mma(const AttentionBackward& op, const float* delta, Stream& stream);

}  // namespace srpo::cuda
