#pragma once
#include <vector>

#include "cpp/core/stream.h"
#include "cpp/core/tensor_view.h"

namespace srpo {

/// y[b] = [cos(t_b f_0), ..., cos(t_b f_{h-1}), sin(t_b f_0), ..., sin(t_b f_{h-1})] with h = dim / 2
/// and f_i = 10000^(-i / h). Frequencies and angles are rounded to float at each step, as the public
/// implementations do, so that large timesteps agree with theirs. No gradient.
/// Source: Vaswani et al. 2017, sec. 3.5; FLUX.1's order, cosines first.
struct TimestepEmbedding {
  TensorView y;          // [B, dim]  out
  std::vector<float> t;  // B timesteps, 1000 sigma
};

void timestep_embedding(const TimestepEmbedding& op, Stream& stream);

}  // namespace srpo
