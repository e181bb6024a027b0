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

constexpr int64_t kMostSize = 65536, kMostSide = int64_t{1} << 24, kMostResized = int64_t{1} << 22;

/// Sides and a shape of which a table of taps can be made.
void require_sides(const char* op, int64_t H, int64_t W, int64_t size) {
  const int64_t sides[] = {H, W};
  const bool fits = H >= 1 && W >= 1 && H <= kMostSide && W <= kMostSide;
  if (!fits || size * std::max(H, W) / std::min(H, W) > kMostResized)
    refuse("ERR_SHAPE", op, "image", "sides of 1 to 2^24, and of 2^22 at most once resized",
           shape_text(sides, 2));
}

void require_std(const char* op, const std::vector<float>& std, size_t C) {
  require_range(op, "std", std.size() == C, std::to_string(C) + " numbers",
                std::to_string(std.size()));
  for (const float s : std)
    require_range(op, "std", s > 0 && std::isfinite(s), "numbers above 0", std::to_string(s));
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
  require_range(kOp, "size", size >= 1 && size <= kMostSize, "1 to 65536", std::to_string(size));
  require_sides(kOp, image.dim(1), image.dim(2), size);
  const auto C = static_cast<size_t>(image.dim(3));
  require_range(kOp, "mean", mean.size() == C, std::to_string(C) + " numbers",
                std::to_string(mean.size()));
  require_std(kOp, std, C);
}

void resize_crop_normalize_backward_check(const TensorView& dy, const std::vector<int64_t>& shape,
                                          const std::vector<float>& std) {
  constexpr auto kOp = "resizeCropNormalize backward";
  require_rank(kOp, "dy", dy, 4, "[B, size, size, C]");
  require_float(kOp, "dy", dy);
  require_not_empty(kOp, "dy", dy);
  if (shape.size() != 4)
    refuse("ERR_SHAPE", kOp, "imageShape", "[B, H, W, C]", std::to_string(shape.size()) + " sizes");
  const int64_t size = dy.dim(1);
  require_shape(kOp, "dy", dy, {shape[0], size, size, shape[3]});
  require_range(kOp, "size", size <= kMostSize, "1 to 65536", std::to_string(size));
  require_sides(kOp, shape[1], shape[2], size);
  require_std(kOp, std, static_cast<size_t>(shape[3]));
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
