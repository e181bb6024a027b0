#pragma once
#include "cpp/core/stream.h"
#include "cpp/core/tensor_view.h"

namespace srpo {

/// How a convolution walks its picture. Zero padding; with `upsample` every pixel of x counts twice
/// in both directions (nearest x2) before it is padded.
struct Conv2dGeometry {
  int64_t stride = 1;
  int64_t top = 0, right = 0, bottom = 0, left = 0;
  bool upsample = false;

  /// Sizes of y for x [., H, W, .] and w [., kh, kw, .]; may be 0 or less where nothing fits.
  int64_t rows(int64_t H, int64_t kh) const {
    const int64_t room = (upsample ? 2 * H : H) + top + bottom - kh;
    return room < 0 ? 0 : room / stride + 1;
  }
  int64_t columns(int64_t W, int64_t kw) const {
    const int64_t room = (upsample ? 2 * W : W) + left + right - kw;
    return room < 0 ? 0 : room / stride + 1;
  }
};

/// y[b, i, j, n] = bias[n] + residual[b, i, j, n]
///               + sum over r, s, c of w[n, r, s, c] * x[b, i*stride + r - top, j*stride + s - left, c]
struct Conv2dForward {
  TensorView y;         // [B, Ho, Wo, Cout]   out
  TensorView x;         // [B, H, W, Cin]
  TensorView w;         // [Cout, kh, kw, Cin]
  TensorView bias;      // [Cout]              or not given
  TensorView residual;  // [B, Ho, Wo, Cout]   or not given
  // For the group norm that follows, where a device can take them while it still has y at hand: mean and
  // variance of y over a sample's pixels and the Cout / groups neighbouring channels of a group.
  TensorView statistics;  // [B, groups, 2]  float  out, or not given
  Conv2dGeometry geometry;
};

/// dx is written, dw and dbias are added to; each may be not given.
struct Conv2dBackward {
  TensorView dx;     // [B, H, W, Cin]              out
  TensorView dw;     // [Cout, kh, kw, Cin]  float  in and out
  TensorView dbias;  // [Cout]               float  in and out
  TensorView dy;     // [B, Ho, Wo, Cout]
  TensorView x;      // [B, H, W, Cin]
  TensorView w;      // [Cout, kh, kw, Cin]
  Conv2dGeometry geometry;
};

/// The checks of x, w and the geometry, to be made before y is allocated.
/// What both directions ask of x, w and the geometry; before y's size is taken from them.
void conv2d_check(const char* op, const TensorView& x, const TensorView& w,
                  const Conv2dGeometry& geometry);
void conv2d_forward(const Conv2dForward& op, Stream& stream);
void conv2d_backward(const Conv2dBackward& op, Stream& stream);

}  // namespace srpo
