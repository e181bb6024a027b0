#pragma once
#include "cpp/core/stream.h"
#include "cpp/core/tensor_view.h"

namespace srpo {

/// A picture's patches as tokens: tokens[b, (i, j), c*p*p + r*p + s] = picture[b, i*p + r, j*p + s, c].
/// The channel order is that of a flattened convolution weight [D, C, p, p], and with p = 2 that of
/// FLUX's packed latents (flux/util.py).
struct Patchify {
  TensorView tokens;   // [B, (H / p) * (W / p), C * p * p]  out
  TensorView picture;  // [B, H, W, C]
  int64_t patch;
};

/// The inverse: picture from tokens.
struct Unpatchify {
  TensorView picture;  // [B, H, W, C]  out
  TensorView tokens;   // [B, (H / p) * (W / p), C * p * p]
  int64_t patch;
};

void patchify(const Patchify& op, Stream& stream);
void unpatchify(const Unpatchify& op, Stream& stream);

/// The checks that come before an output is allocated; `name` is the op's as JavaScript says it.
void patchify_check(const char* name, const char* argument, const TensorView& picture,
                    int64_t patch);
void unpatchify_check(const char* name, const char* argument, const TensorView& tokens,
                      int64_t height, int64_t width, int64_t patch);

}  // namespace srpo
