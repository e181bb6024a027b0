// Operands of a convolution as its products want them: weights in the order of the taps, channels in whole
// packs of 16 bytes.
#pragma once
#include <cstdint>

#include "cuda/conv/conv2d_product.h"

namespace srpo::cuda {

/// [N, kh * kw, C] told by its strides, in the direction of the product.
struct ConvWeights {
  const void* data;
  int64_t N, C;
  int64_t of_n, of_place, of_c;
};

/// [N, taps, width] = the sum over each tap's places, in float; zeros from channel C on. In the op's
/// scratch.
const void* pack_weights(const ConvWeights& w, const ConvTaps& down, const ConvTaps& across,
                         int64_t width, DType dtype, Stream& stream);

/// Channels that a pixel of C has where they lie in whole packs.
inline int64_t packed_channels(int64_t C) {
  return (C + 7) / 8 * 8;
}
/// Pixels [pixels, C] of bfloat16 as [pixels, packed_channels(C)], aligned: as they are, or a copy filled
/// up with zeros in the op's scratch.
const void* pack_pixels(const void* x, int64_t pixels, int64_t C, Stream& stream);

}  // namespace srpo::cuda
