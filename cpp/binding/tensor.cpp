// Tensors at the boundary: handles, scopes, creation, views, copies and waits.
#include <napi.h>

#include <cstring>
#include <memory>

#include "cpp/binding/arguments.h"
#include "cpp/binding/guarded.h"
#include "cpp/binding/handle.h"
#include "cpp/binding/register.h"
#include "cpp/core/check.h"

namespace srpo::binding {
namespace {

constexpr napi_type_tag kHandleTag = {0x7372706f2d6e6174, 0x6976652074656e73};

/// What a handle points to: empty once disposed. Shared by the handle and its scope.
struct Box {
  Tensor tensor;
};
using BoxRef = std::shared_ptr<Box>;

/// The open scopes of one JavaScript environment, the innermost last.
struct Scopes {
  std::vector<std::vector<BoxRef>> open;
};

Scopes& scopes_of(Napi::Env env) {
  auto* scopes = env.GetInstanceData<Scopes>();
  if (scopes == nullptr) env.SetInstanceData(scopes = new Scopes);
  return *scopes;
}

BoxRef* box_of(Napi::Value value) {
  bool tagged = false;
  if (value.Type() != napi_external ||
      napi_check_object_type_tag(value.Env(), value, &kHandleTag, &tagged) != napi_ok || !tagged)
    return nullptr;
  return value.As<Napi::External<BoxRef>>().Data();
}

BoxRef& require_box(Napi::Value value, const char* op, const char* argument) {
  BoxRef* box = box_of(value);
  if (box == nullptr) refuse("ERR_TYPE", op, argument, "a tensor", "something else");
  return *box;
}

/// The tensors of an array. All of it is read before anything is changed: reading may run JavaScript.
std::vector<BoxRef> boxes_of(Napi::Value value, const char* argument) {
  if (!value.IsArray())
    refuse("ERR_TYPE", "scope", argument, "an array of tensors", "something else");
  const auto array = value.As<Napi::Array>();
  std::vector<BoxRef> boxes;
  for (uint32_t i = 0; i < array.Length(); ++i)
    boxes.push_back(require_box(array.Get(i), "scope", argument));
  return boxes;
}

// tensorEmpty(shape, dtype, device) -> handle
Napi::Value tensor_empty(const Napi::CallbackInfo& info) {
  const Arguments args(info, "empty");
  return args.handle(
      Tensor::empty(args.integers(0, "shape"), args.dtype(1, "dtype"), args.device(2, "device")));
}

// tensorZeros(shape, dtype, device) -> handle
Napi::Value tensor_zeros(const Napi::CallbackInfo& info) {
  const Arguments args(info, "zeros");
  return args.handle(
      Tensor::zeros(args.integers(0, "shape"), args.dtype(1, "dtype"), args.device(2, "device")));
}

// tensorFrom(bytes, shape, dtype, device) -> handle: the bytes are copied before this returns
Napi::Value tensor_from(const Napi::CallbackInfo& info) {
  const Arguments args(info, "tensor");
  const Shape shape = args.integers(1, "shape");
  const DType dtype = args.dtype(2, "dtype");
  const Device device = args.device(3, "device");
  // Last: reading an array may run JavaScript (a getter), which could take the bytes away.
  const auto [data, size] = args.bytes(0, "data");
  const Tensor t = Tensor::empty(shape, dtype, device);
  const auto wanted = static_cast<size_t>(t->bytes());
  if (size != wanted)
    refuse("ERR_SHAPE", "tensor", "data",
           std::to_string(wanted) + " bytes for " + shape_text(*t) + " " + name_of(t->dtype),
           std::to_string(size));
  if (size > 0) t.stream().copy_from_host(t->pointer, data, size);
  return args.handle(t);
}

// tensorView(handle, offset in elements, shape) -> handle of the same memory
Napi::Value tensor_view(const Napi::CallbackInfo& info) {
  const Arguments args(info, "view");
  return args.handle(
      args.tensor(0, "tensor").view(args.integer(1, "offset"), args.integers(2, "shape")));
}

// tensorShape(handle) -> number[]
Napi::Value tensor_shape(const Napi::CallbackInfo& info) {
  const Arguments args(info, "shape");
  const Tensor t = args.tensor(0, "tensor");
  const auto sizes = Napi::Array::New(info.Env(), static_cast<size_t>(t->rank));
  for (int i = 0; i < t->rank; ++i)
    sizes.Set(static_cast<uint32_t>(i), static_cast<double>(t->dims[i]));
  return sizes;
}

// tensorDType(handle) -> string, tensorDevice(handle) -> string
Napi::Value tensor_dtype(const Napi::CallbackInfo& info) {
  const Arguments args(info, "dtype");
  return Napi::String::New(info.Env(), name_of(args.tensor(0, "tensor")->dtype));
}
Napi::Value tensor_device(const Napi::CallbackInfo& info) {
  const Arguments args(info, "device");
  return Napi::String::New(info.Env(), name_of(args.tensor(0, "tensor").device()));
}

// tensorCopy(to, from): same number of bytes, same device
Napi::Value tensor_copy(const Napi::CallbackInfo& info) {
  const Arguments args(info, "copy");
  const Tensor to = args.tensor(0, "to"), from = args.tensor(1, "from");
  require_same_shape("copy", "from", from, to);
  require_like("copy", "from", from, to);
  to.stream().copy(to->pointer, from->pointer, static_cast<size_t>(to->bytes()));
  return info.Env().Undefined();
}

// tensorZero(handle): writes zeros
Napi::Value tensor_zero(const Napi::CallbackInfo& info) {
  const Arguments args(info, "zero");
  const Tensor t = args.tensor(0, "tensor");
  t.stream().zero(t->pointer, static_cast<size_t>(t->bytes()));
  return info.Env().Undefined();
}

// tensorDispose(handle): frees it now; a second call does nothing
Napi::Value tensor_dispose(const Napi::CallbackInfo& info) {
  require_box(info[0], "dispose", "tensor")->tensor = Tensor();
  return info.Env().Undefined();
}

// tensorDisposed(handle) -> boolean
Napi::Value tensor_disposed(const Napi::CallbackInfo& info) {
  const bool disposed = !require_box(info[0], "disposed", "tensor")->tensor;
  return Napi::Boolean::New(info.Env(), disposed);
}

// scopeBegin() -> depth of the new scope
Napi::Value scope_begin(const Napi::CallbackInfo& info) {
  auto& open = scopes_of(info.Env()).open;
  open.emplace_back();
  return Napi::Number::New(info.Env(), static_cast<double>(open.size()));
}

// scopeEnd(depth, kept handles): frees what the scope holds but for `kept`, which its parent gets
Napi::Value scope_end(const Napi::CallbackInfo& info) {
  const Arguments args(info, "scope");
  const std::vector<BoxRef> survivors = boxes_of(info[1], "kept");
  auto& open = scopes_of(info.Env()).open;
  const int64_t depth = args.integer(0, "depth");
  if (depth < 1 || depth != static_cast<int64_t>(open.size()))
    refuse("ERR_SCOPE", "scope", "depth",
           "the innermost scope, " + std::to_string(open.size()) + ", to end first",
           std::to_string(depth));
  std::vector<BoxRef> mine = std::move(open.back());
  open.pop_back();
  for (const BoxRef& box : mine) {
    const bool survives = std::find(survivors.begin(), survivors.end(), box) != survivors.end();
    if (!survives)
      box->tensor = Tensor();
    else if (!open.empty())
      open.back().push_back(box);
  }
  return info.Env().Undefined();
}

// scopeRelease(handles): takes them out of every open scope; they live until disposed or collected
Napi::Value scope_release(const Napi::CallbackInfo& info) {
  for (const BoxRef& box : boxes_of(info[0], "released"))
    for (auto& scope : scopes_of(info.Env()).open) std::erase(scope, box);
  return info.Env().Undefined();
}

}  // namespace

Napi::Value make_handle(Napi::Env env, const Tensor& tensor) {
  auto box = std::make_unique<BoxRef>(std::make_shared<Box>(Box{tensor}));
  auto& open = scopes_of(env).open;
  if (!open.empty()) open.back().push_back(*box);
  const auto handle =
      Napi::External<BoxRef>::New(env, box.get(), [](Napi::Env, BoxRef* data) { delete data; });
  box.release();  // once there is a finalizer
  napi_type_tag_object(env, handle, &kHandleTag);
  return handle;
}

bool is_handle(Napi::Value value) {
  return box_of(value) != nullptr;
}

const Tensor& tensor_of(Napi::Value value, const char* op, const char* argument) {
  const Tensor& tensor = require_box(value, op, argument)->tensor;
  if (!tensor) refuse("ERR_DISPOSED", op, argument, "a live tensor", "one that was disposed of");
  return tensor;
}

void register_tensor(Napi::Env env, Napi::Object exports) {
  define<tensor_empty>(env, exports, "tensorEmpty");
  define<tensor_zeros>(env, exports, "tensorZeros");
  define<tensor_from>(env, exports, "tensorFrom");
  define<tensor_view>(env, exports, "tensorView");
  define<tensor_shape>(env, exports, "tensorShape");
  define<tensor_dtype>(env, exports, "tensorDType");
  define<tensor_device>(env, exports, "tensorDevice");
  define<tensor_copy>(env, exports, "tensorCopy");
  define<tensor_zero>(env, exports, "tensorZero");
  define<tensor_dispose>(env, exports, "tensorDispose");
  define<tensor_disposed>(env, exports, "tensorDisposed");
  define<scope_begin>(env, exports, "scopeBegin");
  define<scope_end>(env, exports, "scopeEnd");
  define<scope_release>(env, exports, "scopeRelease");
}

}  // namespace srpo::binding
