#include "cpp/ops/resample/resize_crop_normalize.h"

#include <algorithm>
#include <cmath>

#include "cpp/core/check.h"
#include "cpp/ops/op_table.h"

namespace srpo {
namespace {

/// Round half to even, as Python does.
int64_t rounded(double value) {
  return static_cast<int64_t>(std::nearbyint(value));
}

/// One direction: `in` samples resized to `out`, of which the middle `size` are taken, or which stand
/// in the middle of `size`.
Taps axis_taps(int64_t in, int64_t out, int64_t size, bool antialias) {
  const int64_t first =
      out >= size ? rounded(static_cast<double>(out - size) / 2.0) : -((size - out) / 2);
  return rows_of(bicubic_taps(in, out, antialias), first, size);
}

}  // namespace

ResizePlan resize_plan(int64_t H, int64_t W, int64_t size, Fit fit, bool antialias) {
  int64_t height = size, width = size;
  if (fit == Fit::kCrop) {
    // The short side becomes size, the other trunc(size * long / short).
    height = H <= W ? size : size * H / W;
    width = W <= H ? size : size * W / H;
  } else if (fit == Fit::kPad) {
    const double scale = static_cast<double>(size) / static_cast<double>(std::max(H, W));
    height = std::max<int64_t>(1, rounded(static_cast<double>(H) * scale));
    width = std::max<int64_t>(1, rounded(static_cast<double>(W) * scale));
  }
  return {.rows = axis_taps(H, height, size, antialias),
          .columns = axis_taps(W, width, size, antialias),
          .resized = height != H || width != W};
}

void resize_crop_normalize_check(const TensorView& image, int64_t size,
                                 const std::vector<float>& mean, const std::vector<float>& std) {
  constexpr auto kOp = "resizeCropNormalize";
  require_rank(kOp, "image", image, 4, "[B, H, W, C]");
  require_float(kOp, "image", image);
  require_not_empty(kOp, "image", image);
  require_range(kOp, "size", size >= 1 && size <= 65536, "1 to 65536", std::to_string(size));
  const auto C = static_cast<size_t>(image.dim(3));
  require_range(kOp, "mean", mean.size() == C, std::to_string(C) + " numbers",
                std::to_string(mean.size()));
  require_range(kOp, "std", std.size() == C, std::to_string(C) + " numbers",
                std::to_string(std.size()));
  for (const float s : std)
    require_range(kOp, "std", s > 0 && std::isfinite(s), "numbers above 0", std::to_string(s));
}

void resize_crop_normalize_forward(const ResizeCropNormalizeForward& op, Stream& stream) {
  dispatch("resizeCropNormalize", &OpTable::resize_crop_normalize_forward, op, stream);
}

void resize_crop_normalize_backward(const ResizeCropNormalizeBackward& op, Stream& stream) {
  constexpr auto kOp = "resizeCropNormalize backward";
  const int64_t size = op.dy.dim(1);
  require_shape(kOp, "dy", op.dy, {op.dimage.dim(0), size, size, op.dimage.dim(3)});
  require_like(kOp, "dy", op.dy, op.dimage);
  dispatch(kOp, &OpTable::resize_crop_normalize_backward, op, stream);
}

}  // namespace srpo
