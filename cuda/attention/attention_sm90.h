// Attention in Hopper's own form (TMA, wgmma): bfloat16, heads of 128, every key seen by every query: the
// blocks of FLUX. What it does not take goes to attention_mma.h.
#pragma once
#include "cpp/ops/attention/attention.h"

namespace srpo::cuda {

/// Runs the op if it is such, with a positive scale and all tensors aligned to 16 bytes; false if not.
bool attention_forward_sm90(const AttentionForward& op, Stream& stream);

/// The same backward, with a scale of either sign; not for so many keys that the tiles of a head outnumber the
/// card's multiprocessors.
bool attention_backward_sm90(const AttentionBackward& op, Stream& stream);

}  // namespace srpo::cuda
