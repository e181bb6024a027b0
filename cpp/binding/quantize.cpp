#include "cpp/binding/arguments.h"
#include "cpp/binding/guarded.h"
#include "cpp/binding/register.h"
#include "cpp/ops/quantize/quantize_rows.h"

namespace srpo::binding {
namespace {

// quantizeRows(x, codes, scales): writes both
Napi::Value quantize_rows(const Napi::CallbackInfo& info) {
  const Arguments args(info, "quantizeRows");
  const Tensor x = args.tensor(0, "x");
  const Tensor codes = args.tensor(1, "codes");
  const Tensor scales = args.tensor(2, "scales");
  srpo::quantize_rows({.codes = codes, .scales = scales, .x = x}, x.stream());
  return info.Env().Undefined();
}

// dequantizeRows(codes, scales, dtype) -> y
Napi::Value dequantize_rows(const Napi::CallbackInfo& info) {
  const Arguments args(info, "dequantizeRows");
  const Tensor codes = args.tensor(0, "codes");
  const Tensor scales = args.tensor(1, "scales");
  const Tensor y = Tensor::like(codes, args.dtype(2, "dtype"));
  srpo::dequantize_rows({.y = y, .codes = codes, .scales = scales}, codes.stream());
  return args.handle(y);
}

}  // namespace

void register_quantize(Napi::Env env, Napi::Object exports) {
  define<quantize_rows>(env, exports, "quantizeRows");
  define<dequantize_rows>(env, exports, "dequantizeRows");
}

}  // namespace srpo::binding
