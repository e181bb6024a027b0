#pragma once
#include <vector>

#include "cpp/core/stream.h"
#include "cpp/core/tensor_view.h"

namespace srpo {

/// y[b] = mean over a sample's elements of
///   -(x - mean)^2 / (2 std[b]^2) - log(std[b]) - log(2 pi) / 2.
/// Source: DanceGRPO's log-probability of a step (mean, not sum, over elements).
struct GaussianLogDensityForward {
  TensorView y;            // [B]  float  out
  TensorView x;            // [B, ...]
  TensorView mean;         // shape and dtype of x
  std::vector<float> std;  // B
};

/// dmean = dy[b] / (n std[b]^2) * (x - mean), dx = -dmean; either may be not given.
struct GaussianLogDensityBackward {
  TensorView dx;     // out, optional
  TensorView dmean;  // out, optional
  TensorView dy;     // [B]  float
  TensorView x;
  TensorView mean;
  std::vector<float> std;
};

void gaussian_log_density_forward(const GaussianLogDensityForward& op, Stream& stream);
void gaussian_log_density_backward(const GaussianLogDensityBackward& op, Stream& stream);

}  // namespace srpo
