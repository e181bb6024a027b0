#pragma once
#include <vector>

#include "cpp/core/stream.h"
#include "cpp/core/tensor_view.h"
#include "cpp/ops/resample/taps.h"

namespace srpo {

/// How a picture is brought to a square: kCrop fits its short side and cuts the middle out, kStretch
/// fits both sides, kPad fits its long side and sets it amid zeros.
enum class Fit : uint8_t { kCrop, kStretch, kPad };

/// The matrices along rows and columns, resize and crop or padding in one.
struct ResizePlan {
  Taps rows, columns;
  bool resized;  // false: the values are taken as they are
};

ResizePlan resize_plan(int64_t H, int64_t W, int64_t size, Fit fit, bool antialias);

/// y[b, i, j, c] = (sum over p, q of R[i, p] * Q[j, q] * image[b, p, q, c] - mean[c]) / std[c].
/// A bfloat16 image is resized in float32 and rounded before it is normalised, as torchvision does.
struct ResizeCropNormalizeForward {
  TensorView y;      // [B, size, size, C]  out
  TensorView image;  // [B, H, W, C]
  ResizePlan plan;
  std::vector<float> mean, std;  // [C]
};

/// dimage[b, p, q, c] = sum over i, j of R[i, p] * Q[j, q] * dy[b, i, j, c] / std[c].
struct ResizeCropNormalizeBackward {
  TensorView dimage;  // [B, H, W, C]  out
  TensorView dy;      // [B, size, size, C]
  ResizePlan plan;    // transposed
  std::vector<float> std;
};

/// The checks that come before the plan is made and the output allocated.
void resize_crop_normalize_check(const TensorView& image, int64_t size,
                                 const std::vector<float>& mean, const std::vector<float>& std);
void resize_crop_normalize_backward_check(const TensorView& dy,
                                          const std::vector<int64_t>& image_shape,
                                          const std::vector<float>& std);
void resize_crop_normalize_forward(const ResizeCropNormalizeForward& op, Stream& stream);
void resize_crop_normalize_backward(const ResizeCropNormalizeBackward& op, Stream& stream);

}  // namespace srpo
