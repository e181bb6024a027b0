// Files at the boundary: safetensors headers and the way of their data into tensors.
#include <napi.h>

#include "cpp/binding/arguments.h"
#include "cpp/binding/guarded.h"
#include "cpp/binding/register.h"
#include "cpp/core/check.h"
#include "cpp/io/safetensors_file.h"

namespace srpo::binding {
namespace {

using FileRef = std::shared_ptr<const io::SafetensorsFile>;

constexpr napi_type_tag kFileTag = {0x7372706f2d6e6174, 0x697665206c696665};

/// Empty once closed.
FileRef& file_of(const Napi::CallbackInfo& info) {
  bool tagged = false;
  if (info[0].Type() != napi_external ||
      napi_check_object_type_tag(info.Env(), info[0], &kFileTag, &tagged) != napi_ok || !tagged)
    refuse("ERR_TYPE", "safetensors", "file", "an open file", "something else");
  return *info[0].As<Napi::External<FileRef>>().Data();
}

// safetensorsOpen(path) -> { file, metadata: { key: value } | null, tensors: [{ name, dtype, shape, bytes }] },
// the tensors in the order of their data
Napi::Value safetensors_open(const Napi::CallbackInfo& info) {
  const Arguments args(info, "safetensors");
  const Napi::Env env = info.Env();
  const std::string path = args.text(0, "path");
  require_range("safetensors", "path", path.find('\0') == std::string::npos, "no zero byte", "one");
  FileRef file = io::SafetensorsFile::open(path);
  const io::SafetensorsHeader& header = file->header();

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

  auto opened_file = std::make_unique<FileRef>(std::move(file));
  const auto handle = Napi::External<FileRef>::New(env, opened_file.get(),
                                                   [](Napi::Env, FileRef* data) { delete data; });
  opened_file.release();  // once there is a finalizer
  napi_type_tag_object(env, handle, &kFileTag);
  auto opened = Napi::Object::New(env);
  opened.Set("file", handle);
  opened.Set("metadata", metadata);
  opened.Set("tensors", tensors);
  return opened;
}

// safetensorsReadInto(file, index, first, tensor, channels, taps): enqueues the read of the tensor's
// elements from element `first` of the file's tensor on
Napi::Value safetensors_read_into(const Napi::CallbackInfo& info) {
  const Arguments args(info, "safetensors");
  const FileRef& file = file_of(info);
  if (!file) refuse("ERR_DISPOSED", "safetensors", "file", "an open file", "a closed one");
  const int64_t index = args.integer(1, "index");
  const auto count = static_cast<int64_t>(file->header().tensors.size());
  require_range("safetensors", "index", index >= 0 && index < count,
                "0 to " + std::to_string(count - 1), std::to_string(index));
  file->read_into(args.tensor(3, "tensor"), static_cast<size_t>(index), args.integer(2, "first"),
                  {.channels = args.integer(4, "channels"), .taps = args.integer(5, "taps")});
  return info.Env().Undefined();
}

// safetensorsClose(file): pending reads still run; a second call does nothing
Napi::Value safetensors_close(const Napi::CallbackInfo& info) {
  file_of(info).reset();
  return info.Env().Undefined();
}

}  // namespace

void register_io(Napi::Env env, Napi::Object exports) {
  define<safetensors_open>(env, exports, "safetensorsOpen");
  define<safetensors_read_into>(env, exports, "safetensorsReadInto");
  define<safetensors_close>(env, exports, "safetensorsClose");
}

}  // namespace srpo::binding
