// Where an element of a picture lies among its patches' tokens.
#pragma once
#include "cuda/common/target.cuh"

namespace srpo::cuda {

/// Picture [B, H, W, C] and tokens [B, (H / p) * (W / p), C * p * p], channel (c * p + r) * p + s of
/// the pixel in row r and column s of its patch.
struct Patches {
  int64_t H, W, C, p;

  /// The token element of picture element i.
  SRPO_DEVICE int64_t token_of(int64_t i) const {
    const int64_t c = i % C, x = i / C % W,
                  row = i / C / W;  // of all samples' rows: H / p is whole
    const int64_t token = row / p * (W / p) + x / p;
    return token * C * p * p + (c * p + row % p) * p + x % p;
  }
  /// The picture element of token element i.
  SRPO_DEVICE int64_t pixel_of(int64_t i) const {
    const int64_t s = i % p, r = i / p % p, c = i / p / p % C, token = i / p / p / C;
    const int64_t row = token / (W / p) * p + r, x = token % (W / p) * p + s;
    return (row * W + x) * C + c;
  }
};

}  // namespace srpo::cuda
