#include "cpp/binding/arguments.h"

#include <cmath>

#include "cpp/core/check.h"

namespace srpo::binding {
namespace {

std::string kind_of(Napi::Value value) {
  switch (value.Type()) {
    case napi_undefined:
      return "undefined";
    case napi_null:
      return "null";
    case napi_boolean:
      return "a boolean";
    case napi_number:
      return "a number";
    case napi_string:
      return "a string";
    case napi_bigint:
      return "a bigint";
    case napi_function:
      return "a function";
    case napi_external:
      return "a tensor";
    default:
      return value.IsArray() ? "an array" : "an object";
  }
}

}  // namespace

void Arguments::refuse_type(const char* name, const char* expected, Napi::Value got) const {
  refuse("ERR_TYPE", op_, name, expected, kind_of(got));
}

Arguments Arguments::nested(size_t index, const char* name) const {
  const Napi::Value value = raw(index);
  if (!value.IsArray()) refuse_type(name, "an array of arguments", value);
  Arguments all = *this;
  all.array_ = value.As<Napi::Array>();
  return all;
}

Tensor Arguments::tensor(size_t index, const char* name) const {
  return tensor_of(raw(index), op_, name);
}

Tensor Arguments::optional_tensor(size_t index, const char* name) const {
  const Napi::Value value = raw(index);
  if (value.IsNull() || value.IsUndefined()) return Tensor();
  return tensor_of(value, op_, name);
}

std::vector<Tensor> Arguments::tensors(size_t index, const char* name) const {
  const Napi::Value value = raw(index);
  if (!value.IsArray()) refuse_type(name, "an array of tensors", value);
  const auto array = value.As<Napi::Array>();
  std::vector<Tensor> all;
  for (uint32_t i = 0; i < array.Length(); ++i) all.push_back(tensor_of(array.Get(i), op_, name));
  return all;
}

double Arguments::number64(size_t index, const char* name) const {
  const Napi::Value value = raw(index);
  if (!value.IsNumber()) refuse_type(name, "a number", value);
  return value.As<Napi::Number>().DoubleValue();
}

float Arguments::number(size_t index, const char* name) const {
  return static_cast<float>(number64(index, name));
}

int64_t Arguments::integer(size_t index, const char* name) const {
  const double value = number64(index, name);
  require_range(op_, name, std::trunc(value) == value && std::fabs(value) <= 9007199254740992.0,
                "an integer", std::to_string(value));
  return static_cast<int64_t>(value);
}

bool Arguments::boolean(size_t index, const char* name) const {
  const Napi::Value value = raw(index);
  if (!value.IsBoolean()) refuse_type(name, "a boolean", value);
  return value.As<Napi::Boolean>();
}

std::string Arguments::text(size_t index, const char* name) const {
  const Napi::Value value = raw(index);
  if (!value.IsString()) refuse_type(name, "a string", value);
  return value.As<Napi::String>();
}

std::vector<float> Arguments::numbers(size_t index, const char* name) const {
  const Napi::Value value = raw(index);
  std::vector<float> all;
  if (value.IsTypedArray() && value.As<Napi::TypedArray>().TypedArrayType() == napi_float32_array) {
    const auto array = value.As<Napi::Float32Array>();
    return {array.Data(), array.Data() + array.ElementLength()};
  }
  if (!value.IsArray()) refuse_type(name, "an array of numbers", value);
  const auto array = value.As<Napi::Array>();
  for (uint32_t i = 0; i < array.Length(); ++i) {
    const Napi::Value item = array.Get(i);
    if (!item.IsNumber()) refuse_type(name, "an array of numbers", item);
    all.push_back(item.As<Napi::Number>().FloatValue());
  }
  return all;
}

std::vector<int64_t> Arguments::integers(size_t index, const char* name) const {
  const Napi::Value value = raw(index);
  if (!value.IsArray()) refuse_type(name, "an array of integers", value);
  const auto array = value.As<Napi::Array>();
  std::vector<int64_t> all;
  for (uint32_t i = 0; i < array.Length(); ++i) {
    const Napi::Value item = array.Get(i);
    if (!item.IsNumber()) refuse_type(name, "an array of integers", item);
    const double number = item.As<Napi::Number>().DoubleValue();
    require_range(op_, name, std::trunc(number) == number && std::fabs(number) < 9e15, "integers",
                  std::to_string(number));
    all.push_back(static_cast<int64_t>(number));
  }
  return all;
}

DType Arguments::dtype(size_t index, const char* name) const {
  const std::string value = text(index, name);
  for (const DType dtype :
       {DType::kFloat32, DType::kBFloat16, DType::kFloat16, DType::kInt32, DType::kUInt8})
    if (value == name_of(dtype)) return dtype;
  refuse("ERR_DTYPE", op_, name, "float32, bfloat16, float16, int32 or uint8", value);
}

Device Arguments::device(size_t index, const char* name) const {
  const std::string value = text(index, name);
  if (value == "cpu") return {DeviceKind::kCpu, 0};
  if (value == "emulated") return {DeviceKind::kEmulated, 0};
  if (value.rfind("cuda:", 0) == 0 && value.size() > 5 && value.size() < 8) {
    const std::string digits = value.substr(5);
    if (digits.find_first_not_of("0123456789") == std::string::npos)
      return {DeviceKind::kCuda, static_cast<uint8_t>(std::stoi(digits))};
  }
  refuse("ERR_DEVICE", op_, name, "cpu, emulated or cuda:N", value);
}

uint64_t Arguments::bits64(size_t index, const char* name) const {
  const Napi::Value value = raw(index);
  if (!value.IsBigInt()) refuse_type(name, "a bigint", value);
  bool lossless = true;
  const uint64_t bits = value.As<Napi::BigInt>().Uint64Value(&lossless);
  require_range(op_, name, lossless, "0 to 2^64 - 1", "a bigint outside it");
  return bits;
}

std::pair<void*, size_t> Arguments::bytes(size_t index, const char* name) const {
  const Napi::Value value = raw(index);
  if (value.IsArrayBuffer()) {
    auto buffer = value.As<Napi::ArrayBuffer>();
    return {buffer.Data(), buffer.ByteLength()};
  }
  if (value.IsTypedArray()) {
    // The pointer as Node-API gives it serves shared buffers too.
    const size_t length = value.As<Napi::TypedArray>().ByteLength();
    void* data = nullptr;
    if (napi_get_typedarray_info(env(), value, nullptr, nullptr, &data, nullptr, nullptr) ==
        napi_ok)
      return {data, data == nullptr ? 0 : length};
  }
  if (value.IsDataView()) {
    size_t length = 0;
    void* data = nullptr;
    if (napi_get_dataview_info(env(), value, &length, &data, nullptr, nullptr) == napi_ok)
      return {data, data == nullptr ? 0 : length};
  }
  refuse_type(name, "an ArrayBuffer or a view of one", value);
}

Napi::Value Arguments::handles(std::initializer_list<Tensor> tensors) const {
  return handles(std::vector<Tensor>(tensors));
}

Napi::Value Arguments::handles(const std::vector<Tensor>& tensors) const {
  const auto array = Napi::Array::New(env(), tensors.size());
  for (uint32_t i = 0; i < tensors.size(); ++i)
    array.Set(i, tensors[i] ? handle(tensors[i]) : env().Null());
  return array;
}

}  // namespace srpo::binding
