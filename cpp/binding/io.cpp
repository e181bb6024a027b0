// Files at the boundary: where their tensors lie, and the way of the data into tensors.
#include <napi.h>

#include <cmath>
#include <cstring>
#include <vector>

#include "cpp/binding/arguments.h"
#include "cpp/binding/guarded.h"
#include "cpp/binding/register.h"
#include "cpp/core/check.h"
#include "cpp/io/float8.h"
#include "cpp/io/tensor_file.h"
#include "cpp/ops/quantize/e4m3.h"

namespace srpo::binding {
namespace {

using FileRef = std::shared_ptr<const io::TensorFile>;

constexpr napi_type_tag kFileTag = {0x7372706f2d6e6174, 0x697665206c696665};

/// Empty once closed.
FileRef& file_of(const Napi::CallbackInfo& info) {
  bool tagged = false;
  if (info[0].Type() != napi_external ||
      napi_check_object_type_tag(info.Env(), info[0], &kFileTag, &tagged) != napi_ok || !tagged)
    refuse("ERR_TYPE", "tensorFile", "file", "an open file", "something else");
  return *info[0].As<Napi::External<FileRef>>().Data();
}

const FileRef& open_file(const Napi::CallbackInfo& info) {
  const FileRef& file = file_of(info);
  if (!file) refuse("ERR_DISPOSED", "tensorFile", "file", "an open file", "a closed one");
  return file;
}

size_t index_of(const Arguments& args, const FileRef& file) {
  const int64_t index = args.integer(1, "index");
  const auto count = static_cast<int64_t>(file->count());
  require_range("tensorFile", "index", index >= 0 && index < count,
                "0 to " + std::to_string(count - 1), std::to_string(index));
  return static_cast<size_t>(index);
}

Napi::Value handle_of(Napi::Env env, FileRef file) {
  auto opened = std::make_unique<FileRef>(std::move(file));
  const auto handle = Napi::External<FileRef>::New(env, opened.get(),
                                                   [](Napi::Env, FileRef* data) { delete data; });
  opened.release();  // once there is a finalizer
  napi_type_tag_object(env, handle, &kFileTag);
  return handle;
}

std::string path_of(const Arguments& args) {
  std::string path = args.text(0, "path");
  require_range(args.op(), "path", path.find('\0') == std::string::npos, "no zero byte", "one");
  return path;
}

// safetensorsOpen(path) -> { file, metadata: { key: value } | null, tensors: [{ name, dtype, shape, bytes }] },
// the tensors in the order of their data
Napi::Value safetensors_open(const Napi::CallbackInfo& info) {
  const Arguments args(info, "safetensors");
  const Napi::Env env = info.Env();
  const auto [file, header] = io::TensorFile::open_safetensors(path_of(args));

  const auto metadata = Napi::Array::New(env, header.metadata.size());
  for (uint32_t i = 0; i < header.metadata.size(); ++i) {
    const Napi::HandleScope scope(env);
    const auto pair = Napi::Array::New(env, 2);
    pair.Set(0u, header.metadata[i].first);
    pair.Set(1u, header.metadata[i].second);
    metadata.Set(i, pair);
  }
  const auto tensors = Napi::Array::New(env, header.tensors.size());
  for (uint32_t i = 0; i < header.tensors.size(); ++i) {
    const Napi::HandleScope scope(env);
    const io::TensorEntry& entry = header.tensors[i];
    const auto shape = Napi::Array::New(env, entry.shape.size());
    for (uint32_t d = 0; d < entry.shape.size(); ++d)
      shape.Set(d, static_cast<double>(entry.shape[d]));
    auto object = Napi::Object::New(env);
    object.Set("name", entry.name);
    object.Set("dtype", io::name_of(entry.dtype));
    object.Set("shape", shape);
    object.Set("bytes", static_cast<double>(entry.end - entry.begin));
    tensors.Set(i, object);
  }

  auto opened = Napi::Object::New(env);
  opened.Set("file", handle_of(env, file));
  opened.Set("metadata", metadata);
  opened.Set("tensors", tensors);
  return opened;
}

/// The items of an array of a descriptor, as whole numbers.
std::vector<int64_t> integers_of(const Napi::Object& object, const char* key) {
  const Napi::Value value = object.Get(key);
  if (!value.IsArray()) refuse("ERR_TYPE", "tensorFile", key, "an array", "something else");
  const auto array = value.As<Napi::Array>();
  std::vector<int64_t> all(std::min<size_t>(array.Length(), io::kMostDimensions + 1));
  for (uint32_t i = 0; i < all.size(); ++i) {
    const Napi::Value item = array.Get(i);
    if (!item.IsNumber()) refuse("ERR_TYPE", "tensorFile", key, "numbers", "something else");
    all[i] = item.As<Napi::Number>().Int64Value();
  }
  return all;
}

int64_t integer_of(const Napi::Object& object, const char* key) {
  const Napi::Value value = object.Get(key);
  if (!value.IsNumber()) refuse("ERR_TYPE", "tensorFile", key, "a number", "something else");
  return value.As<Napi::Number>().Int64Value();
}

std::string text_of(const Napi::Object& object, const char* key) {
  const Napi::Value value = object.Get(key);
  if (!value.IsString()) refuse("ERR_TYPE", "tensorFile", key, "a string", "something else");
  return value.As<Napi::String>().Utf8Value();
}

// tensorFileOpen(path, [{ name, dtype, offset, elements, sizes, strides }]) -> file; sizes and strides
// are empty for a tensor whose elements lie in its own order
Napi::Value tensor_file_open(const Napi::CallbackInfo& info) {
  const Arguments args(info, "tensorFile");
  const Napi::Env env = info.Env();
  const std::string path = path_of(args);
  if (!args.raw(1).IsArray())
    refuse("ERR_TYPE", "tensorFile", "tensors", "an array", "something else");
  const auto array = args.raw(1).As<Napi::Array>();
  require_range("tensorFile", "tensors", array.Length() <= io::kMostTensors,
                "at most " + std::to_string(io::kMostTensors), std::to_string(array.Length()));
  std::vector<io::StoredTensor> tensors;
  for (uint32_t i = 0; i < array.Length(); ++i) {
    const Napi::HandleScope scope(env);
    const Napi::Value item = array.Get(i);
    if (!item.IsObject()) refuse("ERR_TYPE", "tensorFile", "tensors", "objects", "something else");
    const auto object = item.As<Napi::Object>();
    const std::string dtype = text_of(object, "dtype");
    const auto known = io::file_dtype_of(dtype);
    if (!known) refuse("ERR_DTYPE", "tensorFile", "dtype", "one of safetensors", io::shown(dtype));
    tensors.push_back({.name = text_of(object, "name"),
                       .dtype = *known,
                       .offset = integer_of(object, "offset"),
                       .elements = integer_of(object, "elements"),
                       .sizes = integers_of(object, "sizes"),
                       .strides = integers_of(object, "strides")});
  }
  return handle_of(env, io::TensorFile::open(path, std::move(tensors)));
}

// tensorFileReadInto(file, index, first, tensor, channels, taps, scale): enqueues the read of the
// tensor's elements from element `first` of the file's tensor on
Napi::Value tensor_file_read_into(const Napi::CallbackInfo& info) {
  const Arguments args(info, "tensorFile");
  const FileRef& file = open_file(info);
  file->read_into(args.tensor(3, "tensor"), index_of(args, file), args.integer(2, "first"),
                  {.channels = args.integer(4, "channels"),
                   .taps = args.integer(5, "taps"),
                   .scale = args.number(6, "scale")});
  return info.Env().Undefined();
}

// tensorFileScalar(file, index) -> the value of a tensor of one float element, read at once
Napi::Value tensor_file_scalar(const Napi::CallbackInfo& info) {
  const Arguments args(info, "tensorFile");
  const FileRef& file = open_file(info);
  return Napi::Number::New(info.Env(), file->scalar(index_of(args, file)));
}

// tensorFileClose(file): pending reads still run; a second call does nothing
Napi::Value tensor_file_close(const Napi::CallbackInfo& info) {
  file_of(info).reset();
  return info.Env().Undefined();
}

// float8Encode(name, floats) -> { bytes, scale }: float32 values as F8_E4M3, divided by the scale that takes
// the largest to 448; `name` is for messages
Napi::Value float8_encode(const Napi::CallbackInfo& info) {
  const Arguments args(info, "float8");
  const Napi::Env env = info.Env();
  const std::string name = io::shown(args.text(0, "name"));
  const auto [data, size] = args.bytes(1, "floats");
  require_range("float8", name.c_str(), size % sizeof(float) == 0, "whole floats",
                std::to_string(size) + " bytes");
  std::vector<float> values(size / sizeof(float));  // the bytes need not be aligned
  std::memcpy(values.data(), data, size);
  const auto n = static_cast<int64_t>(values.size());
  const float largest = io::largest_magnitude(values.data(), n);
  if (largest < 0.f)
    refuse("ERR_NOT_FINITE", "float8", name.c_str(), "finite weights", "one that is not");
  // A scale that would not be a normal number is as good as 1 for what it scales.
  const float quotient = largest / kMostE4M3;
  const float scale = std::isnormal(quotient) ? quotient : 1.f;
  auto bytes = Napi::Uint8Array::New(env, values.size());
  io::encode_e4m3(bytes.Data(), values.data(), n, scale);
  auto result = Napi::Object::New(env);
  result.Set("bytes", bytes);
  result.Set("scale", scale);
  return result;
}

}  // namespace

void register_io(Napi::Env env, Napi::Object exports) {
  define<safetensors_open>(env, exports, "safetensorsOpen");
  define<tensor_file_open>(env, exports, "tensorFileOpen");
  define<tensor_file_read_into>(env, exports, "tensorFileReadInto");
  define<tensor_file_scalar>(env, exports, "tensorFileScalar");
  define<tensor_file_close>(env, exports, "tensorFileClose");
  define<float8_encode>(env, exports, "float8Encode");
}

}  // namespace srpo::binding
