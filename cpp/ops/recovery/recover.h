#pragma once
#include <vector>

#include "cpp/core/stream.h"
#include "cpp/core/tensor_view.h"

namespace srpo {

/// Direct-Align's recovery of the clean latent in closed form, unpacked and un-scaled for the decoder:
///   z[b, i, j, c] = (clean + g[b] * (velocity - noise + clean)) / scaling + shift
/// at token (i / 2) * (W / 2) + j / 2, channel 4c + 2 (i % 2) + j % 2. With sigma_a -> sigma_b,
/// g = (sigma_b - sigma_a) / (1 - sigma_b): below 0 denoises, above 0 inverts.
/// Source: SRPO (arXiv 2509.06942), Direct-Align; both branches differ in the sign of g only.
struct RecoverForward {
  TensorView z;         // [B, H, W, C]           out, dtype of velocity
  TensorView clean;     // [B, H/2 * W/2, 4C]     float or bfloat16, whatever velocity is
  TensorView noise;     // [B, H/2 * W/2, 4C]     likewise
  TensorView velocity;  // [B, H/2 * W/2, 4C]
  std::vector<float> g;
  float scaling, shift;
};

/// dvelocity = g[b] / scaling * dz. Clean, noise and g are constants.
struct RecoverBackward {
  TensorView dvelocity;  // [B, H/2 * W/2, 4C]  out
  TensorView dz;         // [B, H, W, C]
  std::vector<float> g;
  float scaling;
};

/// The checks that come before z is allocated.
void recover_check(const TensorView& clean, const TensorView& noise, const TensorView& velocity,
                   const std::vector<float>& g, int64_t height, int64_t width, float scaling);
void recover_forward(const RecoverForward& op, Stream& stream);
void recover_backward(const RecoverBackward& op, Stream& stream);

}  // namespace srpo
