#include "cpp/binding/arguments.h"
#include "cpp/binding/guarded.h"
#include "cpp/binding/register.h"
#include "cpp/core/check.h"
#include "cpp/ops/resample/patchify.h"
#include "cpp/ops/resample/resize_crop_normalize.h"

namespace srpo::binding {
namespace {

// patchify(picture, patch, name, argument) -> tokens; the names are those of the op that asks
Napi::Value patchify(const Napi::CallbackInfo& info) {
  const std::string name = Arguments(info, "patchify").text(2, "name");
  const Arguments args(info, name.c_str());
  set_memory_op("patchify");  // a literal: what it allocates may outlive `name`
  const std::string argument = args.text(3, "argument");
  const Tensor picture = args.tensor(0, argument.c_str());
  const int64_t p = args.integer(1, "patch");
  patchify_check(name.c_str(), argument.c_str(), picture, p);

  const auto [B, H, W, C] = picture->sizes<4>();
  const Tensor tokens =
      Tensor::empty({B, H / p * (W / p), C * p * p}, picture->dtype, picture.device());
  srpo::patchify({.tokens = tokens, .picture = picture, .patch = p}, picture.stream());
  return args.handle(tokens);
}

// unpatchify(tokens, height, width, patch, name, argument) -> picture
Napi::Value unpatchify(const Napi::CallbackInfo& info) {
  const std::string name = Arguments(info, "unpatchify").text(4, "name");
  const Arguments args(info, name.c_str());
  set_memory_op("patchify");  // a literal: what it allocates may outlive `name`
  const std::string argument = args.text(5, "argument");
  const Tensor tokens = args.tensor(0, argument.c_str());
  const int64_t H = args.integer(1, "height"), W = args.integer(2, "width");
  const int64_t p = args.integer(3, "patch");
  unpatchify_check(name.c_str(), argument.c_str(), tokens, H, W, p);

  const Tensor picture = Tensor::empty({tokens->dim(0), H, W, tokens->dim(2) / (p * p)},
                                       tokens->dtype, tokens.device());
  srpo::unpatchify({.picture = picture, .tokens = tokens, .patch = p}, tokens.stream());
  return args.handle(picture);
}

Fit fit_of(const Arguments& args, size_t index) {
  const std::string fit = args.text(index, "fit");
  require_range(args.op(), "fit", fit == "crop" || fit == "stretch" || fit == "pad",
                "crop, stretch or pad", fit);
  return fit == "crop" ? Fit::kCrop : fit == "stretch" ? Fit::kStretch : Fit::kPad;
}

// resizeCropNormalizeForward(image, size, fit, antialias, mean, std) -> y
Napi::Value resize_crop_normalize_forward(const Napi::CallbackInfo& info) {
  const Arguments args(info, "resizeCropNormalize");
  const Tensor image = args.tensor(0, "image");
  const int64_t size = args.integer(1, "size");
  const std::vector<float> mean = args.numbers(4, "mean"), std = args.numbers(5, "std");
  resize_crop_normalize_check(image, size, mean, std);

  const Tensor y =
      Tensor::empty({image->dim(0), size, size, image->dim(3)}, image->dtype, image.device());
  const ResizeCropNormalizeForward op{
      .y = y,
      .image = image,
      .plan = resize_plan(image->dim(1), image->dim(2), size, fit_of(args, 2),
                          args.boolean(3, "antialias")),
      .mean = mean,
      .std = std,
  };
  srpo::resize_crop_normalize_forward(op, image.stream());
  return args.handle(y);
}

// resizeCropNormalizeBackward(dy, imageShape, fit, antialias, std) -> dimage
Napi::Value resize_crop_normalize_backward(const Napi::CallbackInfo& info) {
  const Arguments args(info, "resizeCropNormalize backward");
  const Tensor dy = args.tensor(0, "dy");
  const Shape shape = args.integers(1, "imageShape");
  const std::vector<float> std = args.numbers(4, "std");
  resize_crop_normalize_backward_check(dy, shape, std);
  const ResizePlan plan =
      resize_plan(shape[1], shape[2], dy->dim(1), fit_of(args, 2), args.boolean(3, "antialias"));

  const Tensor dimage = Tensor::empty(shape, dy->dtype, dy.device());
  const ResizeCropNormalizeBackward op{
      .dimage = dimage,
      .dy = dy,
      .plan = {.rows = transposed(plan.rows, shape[1]),
               .columns = transposed(plan.columns, shape[2]),
               .resized = plan.resized},
      .std = std,
  };
  srpo::resize_crop_normalize_backward(op, dy.stream());
  return args.handle(dimage);
}

}  // namespace

void register_resample(Napi::Env env, Napi::Object exports) {
  define<patchify>(env, exports, "patchify");
  define<unpatchify>(env, exports, "unpatchify");
  define<resize_crop_normalize_forward>(env, exports, "resizeCropNormalizeForward");
  define<resize_crop_normalize_backward>(env, exports, "resizeCropNormalizeBackward");
}

}  // namespace srpo::binding
