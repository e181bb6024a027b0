#include "cpp/io/safetensors_file.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <vector>

#include "cpp/core/check.h"

namespace srpo::io {
namespace {

static_assert(std::endian::native == std::endian::little, "the format is little-endian");

constexpr int64_t kChunkBytes = int64_t{4} << 20;

/// Part of a tensor's data on its way into memory.
struct Read {
  std::shared_ptr<const SafetensorsFile> owner;  // keeps the file open until the work has run
  const File* file;
  const TensorEntry* entry;
  int64_t offset;  // of the first element, in the file
  SafetensorsFile::Layout layout;
};

template <typename T>
void transpose(T* to, const T* from, int64_t rows, int64_t columns) {
  for (int64_t c = 0; c < columns; ++c)
    for (int64_t r = 0; r < rows; ++r) to[c * rows + r] = from[r * columns + c];
}

void transpose(void* to, const void* from, int64_t rows, int64_t columns, size_t element) {
  if (element == 4)
    transpose(static_cast<uint32_t*>(to), static_cast<const uint32_t*>(from), rows, columns);
  else if (element == 2)
    transpose(static_cast<uint16_t*>(to), static_cast<const uint16_t*>(from), rows, columns);
  else
    transpose(static_cast<uint8_t*>(to), static_cast<const uint8_t*>(from), rows, columns);
}

/// Hands over `n` elements in chunks: put(bytes in host memory, first element, count). With a layout
/// a chunk is whole runs.
template <typename Put>
void read_in_chunks(const Read& read, DType dtype, int64_t n, const Put& put) {
  const TensorEntry& entry = *read.entry;
  const auto in = static_cast<int64_t>(size_of(entry.dtype));
  const auto out = static_cast<int64_t>(srpo::size_of(dtype));
  const std::string name = shown(entry.name);
  const int64_t run = std::max<int64_t>(read.layout.channels * read.layout.taps, 1);
  const int64_t chunk =
      std::min(n, std::max(kChunkBytes / std::max(in, out) / run, int64_t{1}) * run);
  std::vector<char> raw(static_cast<size_t>(chunk * in)),
      converted(static_cast<size_t>(chunk * out));
  std::vector<char> turned(read.layout.channels > 0 ? static_cast<size_t>(chunk * out) : 0);
  for (int64_t first = 0; first < n; first += chunk) {
    const int64_t count = std::min(chunk, n - first);
    read.file->read(raw.data(), static_cast<size_t>(count * in), read.offset + first * in,
                    name.c_str());
    const int64_t outside = convert(converted.data(), dtype, raw.data(), entry.dtype, count);
    if (outside >= 0)
      refuse("ERR_CHECKPOINT", read.file->path().c_str(), name.c_str(), "integers of 32 bits",
             "a larger one at element " + std::to_string(first + outside));
    if (read.layout.channels > 0) {
      for (int64_t at = 0; at < count; at += run)
        transpose(turned.data() + at * out, converted.data() + at * out, read.layout.channels,
                  read.layout.taps, static_cast<size_t>(out));
      put(turned.data(), first, count);
    } else {
      put(converted.data(), first, count);
    }
  }
}

}  // namespace

SafetensorsFile::SafetensorsFile(const std::string& path) : file_(path) {
  if (file_.size() < 10)
    refuse("ERR_CHECKPOINT", path.c_str(), "header", "a length of 8 bytes and a header",
           "a file of " + std::to_string(file_.size()) + " bytes");
  uint64_t length = 0;
  file_.read(&length, 8, 0, "header");
  if (length > static_cast<uint64_t>(kMostHeaderBytes))
    refuse("ERR_CHECKPOINT", path.c_str(), "header",
           "at most " + std::to_string(kMostHeaderBytes) + " bytes", std::to_string(length));
  if (static_cast<int64_t>(length) > file_.size() - 8)
    refuse("ERR_CHECKPOINT", path.c_str(), "header",
           std::to_string(length) + " bytes, as its length says",
           std::to_string(file_.size() - 8) + " bytes to the end of the file");
  std::string text(static_cast<size_t>(length), '\0');
  file_.read(text.data(), text.size(), 8, "header");
  data_start_ = 8 + static_cast<int64_t>(length);
  header_ = parse_safetensors_header(path, text, file_.size() - data_start_);
}

std::shared_ptr<const SafetensorsFile> SafetensorsFile::open(const std::string& path) {
  return std::shared_ptr<const SafetensorsFile>(new SafetensorsFile(path));
}

void SafetensorsFile::read_into(const Tensor& to, size_t index, int64_t first,
                                Layout layout) const {
  const TensorEntry& entry = header_.tensors.at(index);
  const std::string name = shown(entry.name);
  const int64_t n = to->numel();
  int64_t run = 0;
  const bool whole = layout.channels >= 0 && layout.taps >= 0 &&
                     (layout.channels == 0) == (layout.taps == 0) &&
                     !__builtin_mul_overflow(layout.channels, layout.taps, &run) &&
                     (run == 0 || (n % run == 0 && first % run == 0));
  if (first < 0 || n > entry.elements() - first)
    refuse("ERR_SHAPE", path().c_str(), name.c_str(),
           "at most " + std::to_string(entry.elements() - std::max<int64_t>(first, 0)) +
               " elements from element " + std::to_string(first) + " on",
           shape_text(*to));
  if (!whole)
    refuse("ERR_SHAPE", path().c_str(), name.c_str(),
           "whole runs of " + std::to_string(layout.channels) + " x " + std::to_string(layout.taps),
           shape_text(*to));
  if (!converts(entry.dtype, to->dtype))
    refuse("ERR_DTYPE", path().c_str(), name.c_str(),
           std::string("a dtype that converts to ") + srpo::name_of(to->dtype),
           name_of(entry.dtype));
  if (n == 0) return;

  const Read read{
      .owner = shared_from_this(),
      .file = &file_,
      .entry = &entry,
      .offset = data_start_ + entry.begin + first * static_cast<int64_t>(size_of(entry.dtype)),
      .layout = layout,
  };
  const TensorView view = *to;
  Stream& stream = to.stream();
  const auto element = static_cast<int64_t>(srpo::size_of(view.dtype));
  if (view.device.kind == DeviceKind::kCuda) {
    // Its stream takes launches, not work: the chunks are read here and copied as they come.
    read_in_chunks(read, view.dtype, n, [&](const void* bytes, int64_t at, int64_t count) {
      stream.copy_from_host(view.data<char>() + at * element, bytes,
                            static_cast<size_t>(count * element));
    });
    return;
  }
  stream.submit("read", [read, view, n, element] {
    char* memory = view.data<char>();
    if (same_layout(read.entry->dtype, view.dtype) && read.layout.channels == 0)
      read.file->read(memory, static_cast<size_t>(n * element), read.offset,
                      shown(read.entry->name).c_str());
    else
      read_in_chunks(read, view.dtype, n, [&](const void* bytes, int64_t at, int64_t count) {
        std::memcpy(memory + at * element, bytes, static_cast<size_t>(count * element));
      });
  });
}

}  // namespace srpo::io
