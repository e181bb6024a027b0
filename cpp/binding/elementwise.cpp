#include "cpp/binding/arguments.h"
#include "cpp/binding/guarded.h"
#include "cpp/binding/register.h"
#include "cpp/ops/elementwise/add.h"
#include "cpp/ops/elementwise/cast.h"

namespace srpo::binding {
namespace {

// addForward(a, b) -> y
Napi::Value add_forward(const Napi::CallbackInfo& info) {
  const Arguments args(info, "add");
  const Tensor a = args.tensor(0, "a");
  const Tensor b = args.tensor(1, "b");
  const Tensor y = Tensor::like(a);
  srpo::add_forward({.y = y, .a = a, .b = b}, a.stream());
  return args.handle(y);
}

// accumulate(into, from)
Napi::Value accumulate(const Napi::CallbackInfo& info) {
  const Arguments args(info, "accumulate");
  const Tensor into = args.tensor(0, "into");
  const Tensor from = args.tensor(1, "from");
  srpo::accumulate({.into = into, .from = from}, into.stream());
  return info.Env().Undefined();
}

// cast(x, dtype) -> y
Napi::Value cast(const Napi::CallbackInfo& info) {
  const Arguments args(info, "cast");
  const Tensor x = args.tensor(0, "x");
  const Tensor y = Tensor::like(x, args.dtype(1, "dtype"));
  srpo::cast({.y = y, .x = x}, x.stream());
  return args.handle(y);
}

}  // namespace

void register_elementwise(Napi::Env env, Napi::Object exports) {
  define<add_forward>(env, exports, "addForward");
  define<accumulate>(env, exports, "accumulate");
  define<cast>(env, exports, "cast");
}

}  // namespace srpo::binding
