#include "cpp/io/tensor_file.h"

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
  std::shared_ptr<const TensorFile> owner;  // keeps the file open until the work has run
  const File* file;
  const StoredTensor* stored;
  int64_t first;  // element of the tensor
  TensorFile::Layout layout;
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

/// Bytes from a strided tensor's first element to the end of its last.
int64_t extent_of(const StoredTensor& stored) {
  int64_t last = 0;
  for (size_t d = 0; d < stored.sizes.size(); ++d)
    last += (stored.sizes[d] - 1) * stored.strides[d];
  return (last + 1) * static_cast<int64_t>(size_of(stored.dtype));
}

/// Elements of a tensor in its own order, one range after the other.
class Elements {
 public:
  Elements(const Read& read, const std::string& name) : read_(read), name_(name) {
    const StoredTensor& stored = *read.stored;
    if (stored.strides.empty()) return;
    all_.resize(static_cast<size_t>(extent_of(stored)));
    read.file->read(all_.data(), all_.size(), stored.offset, name_.c_str());
  }

  void take(char* to, int64_t first, int64_t count) const {
    const StoredTensor& stored = *read_.stored;
    const auto element = static_cast<int64_t>(size_of(stored.dtype));
    if (stored.strides.empty()) {
      read_.file->read(to, static_cast<size_t>(count * element), stored.offset + first * element,
                       name_.c_str());
      return;
    }
    for (int64_t i = 0; i < count; ++i) {
      int64_t rest = first + i, at = 0;
      for (size_t d = stored.sizes.size(); d-- > 0;) {
        at += rest % stored.sizes[d] * stored.strides[d];
        rest /= stored.sizes[d];
      }
      std::memcpy(to + i * element, all_.data() + at * element, static_cast<size_t>(element));
    }
  }

 private:
  const Read& read_;
  const std::string& name_;
  std::vector<char> all_;  // of a strided tensor
};

/// Converts `n` elements, scaled; the index of the first that does not fit, else -1.
int64_t convert_scaled(char* to, DType dtype, const char* from, FileDType from_dtype, int64_t n,
                       float scale, std::vector<float>& floats) {
  if (scale == 1.f) return convert(to, dtype, from, from_dtype, n);
  floats.resize(static_cast<size_t>(n));
  convert(floats.data(), DType::kFloat32, from, from_dtype, n);
  for (float& value : floats) value *= scale;
  return convert(to, dtype, floats.data(), FileDType::kF32, n);
}

/// Hands over `n` elements in chunks: put(bytes in host memory, first element, count). With a layout
/// a chunk is whole runs.
template <typename Put>
void read_in_chunks(const Read& read, DType dtype, int64_t n, const Put& put) {
  const StoredTensor& stored = *read.stored;
  const auto in = static_cast<int64_t>(size_of(stored.dtype));
  const auto out = static_cast<int64_t>(srpo::size_of(dtype));
  const std::string name = shown(stored.name);
  const Elements elements(read, name);
  const int64_t run = std::max<int64_t>(read.layout.channels * read.layout.taps, 1);
  const int64_t chunk =
      std::min(n, std::max(kChunkBytes / std::max(in, out) / run, int64_t{1}) * run);
  std::vector<char> raw(static_cast<size_t>(chunk * in)),
      converted(static_cast<size_t>(chunk * out));
  std::vector<char> turned(read.layout.channels > 0 ? static_cast<size_t>(chunk * out) : 0);
  std::vector<float> floats;
  for (int64_t first = 0; first < n; first += chunk) {
    const int64_t count = std::min(chunk, n - first);
    elements.take(raw.data(), read.first + first, count);
    const int64_t outside = convert_scaled(converted.data(), dtype, raw.data(), stored.dtype, count,
                                           read.layout.scale, floats);
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

/// The elements of these sizes, which must stay below 2^53, as JavaScript's numbers do.
bool product_of(const std::vector<int64_t>& sizes, int64_t& product) {
  product = 1;
  for (const int64_t size : sizes)
    if (size < 0 || __builtin_mul_overflow(product, size, &product)) return false;
  return product < int64_t{1} << 53;
}

/// Whether a strided tensor's sizes and strides make sense; its extent, checked, goes to `bytes`.
bool strides_fit(const StoredTensor& stored, int64_t& bytes) {
  int64_t last = 0;
  for (size_t d = 0; d < stored.sizes.size(); ++d) {
    int64_t reach = 0;
    if (stored.strides[d] < 0 ||
        __builtin_mul_overflow(stored.sizes[d] - 1, stored.strides[d], &reach) ||
        __builtin_add_overflow(last, reach, &last))
      return false;
  }
  return !__builtin_add_overflow(last, int64_t{1}, &last) &&
         !__builtin_mul_overflow(last, static_cast<int64_t>(size_of(stored.dtype)), &bytes);
}

}  // namespace

void TensorFile::add(StoredTensor stored) {
  const std::string name = shown(stored.name);
  const auto refused = [&](const std::string& expected, const std::string& got) {
    refuse("ERR_CHECKPOINT", path().c_str(), name.c_str(), expected, got);
  };
  int64_t bytes = 0, product = stored.elements;
  if (stored.sizes.size() != stored.strides.size() || stored.sizes.size() > kMostDimensions)
    refused("as many strides as sizes", "others");
  if (!stored.strides.empty() && (!product_of(stored.sizes, product) || product != stored.elements))
    refused(std::to_string(stored.elements) + " elements", "other sizes");
  const bool fits = stored.elements >= 0 &&
                    (stored.strides.empty() || stored.elements == 0
                         ? !__builtin_mul_overflow(
                               stored.elements, static_cast<int64_t>(size_of(stored.dtype)), &bytes)
                         : strides_fit(stored, bytes));
  if (!fits || stored.offset < 0 || stored.offset > file_.size() ||
      bytes > file_.size() - stored.offset)
    refused("data within the " + std::to_string(file_.size()) + " bytes of the file",
            (fits ? std::to_string(bytes) + " bytes" : std::string("more")) + " from byte " +
                std::to_string(stored.offset));
  if (!stored.strides.empty() && bytes > kMostStridedBytes)
    refused("at most " + std::to_string(kMostStridedBytes) + " bytes in an order of their own",
            std::to_string(bytes));
  tensors_.push_back(std::move(stored));
}

TensorFile::Safetensors TensorFile::open_safetensors(const std::string& path) {
  const std::shared_ptr<TensorFile> opened(new TensorFile(path));
  const File& file = opened->file_;
  if (file.size() < 10)
    refuse("ERR_CHECKPOINT", path.c_str(), "header", "a length of 8 bytes and a header",
           "a file of " + std::to_string(file.size()) + " bytes");
  uint64_t length = 0;
  file.read(&length, 8, 0, "header");
  if (length > static_cast<uint64_t>(kMostHeaderBytes))
    refuse("ERR_CHECKPOINT", path.c_str(), "header",
           "at most " + std::to_string(kMostHeaderBytes) + " bytes", std::to_string(length));
  if (static_cast<int64_t>(length) > file.size() - 8)
    refuse("ERR_CHECKPOINT", path.c_str(), "header",
           std::to_string(length) + " bytes, as its length says",
           std::to_string(file.size() - 8) +
               " bytes to the end of the file; it was cut, download it again");
  std::string text(static_cast<size_t>(length), '\0');
  file.read(text.data(), text.size(), 8, "header");
  const int64_t data_start = 8 + static_cast<int64_t>(length);
  SafetensorsHeader header = parse_safetensors_header(path, text, file.size() - data_start);
  for (const TensorEntry& entry : header.tensors)
    opened->add({.name = entry.name,
                 .dtype = entry.dtype,
                 .offset = data_start + entry.begin,
                 .elements = entry.elements(),
                 .sizes = {},
                 .strides = {}});
  return {opened, std::move(header)};
}

std::shared_ptr<const TensorFile> TensorFile::open(const std::string& path,
                                                   std::vector<StoredTensor> tensors) {
  const std::shared_ptr<TensorFile> opened(new TensorFile(path));
  for (StoredTensor& stored : tensors) opened->add(std::move(stored));
  return opened;
}

float TensorFile::scalar(size_t index) const {
  const StoredTensor& stored = tensors_.at(index);
  const std::string name = shown(stored.name);
  if (stored.elements != 1)
    refuse("ERR_SHAPE", path().c_str(), name.c_str(), "one element",
           std::to_string(stored.elements));
  if (!converts(stored.dtype, DType::kFloat32))
    refuse("ERR_DTYPE", path().c_str(), name.c_str(), "a float", name_of(stored.dtype));
  char raw[8] = {};
  file_.read(raw, size_of(stored.dtype), stored.offset, name.c_str());
  float value = 0.f;
  convert(&value, DType::kFloat32, raw, stored.dtype, 1);
  return value;
}

void TensorFile::read_into(const Tensor& to, size_t index, int64_t first, Layout layout) const {
  const StoredTensor& stored = tensors_.at(index);
  const std::string name = shown(stored.name);
  const int64_t n = to->numel();
  int64_t run = 0;
  const bool whole = layout.channels >= 0 && layout.taps >= 0 &&
                     (layout.channels == 0) == (layout.taps == 0) &&
                     !__builtin_mul_overflow(layout.channels, layout.taps, &run) &&
                     (run == 0 || (n % run == 0 && first % run == 0));
  if (first < 0 || n > stored.elements - first)
    refuse("ERR_SHAPE", path().c_str(), name.c_str(),
           "at most " + std::to_string(stored.elements - std::max<int64_t>(first, 0)) +
               " elements from element " + std::to_string(first) + " on",
           shape_text(*to));
  if (!whole)
    refuse("ERR_SHAPE", path().c_str(), name.c_str(),
           "whole runs of " + std::to_string(layout.channels) + " x " + std::to_string(layout.taps),
           shape_text(*to));
  if (!converts(stored.dtype, to->dtype))
    refuse("ERR_DTYPE", path().c_str(), name.c_str(),
           std::string("a dtype that converts to ") + srpo::name_of(to->dtype),
           name_of(stored.dtype));
  const bool floats = to->dtype == DType::kFloat32 || to->dtype == DType::kBFloat16;
  if (layout.scale != 1.f && !floats)
    refuse("ERR_DTYPE", path().c_str(), name.c_str(), "float32 or bfloat16 for a scaled tensor",
           srpo::name_of(to->dtype));
  if (n == 0) return;

  const Read read{.owner = shared_from_this(),
                  .file = &file_,
                  .stored = &stored,
                  .first = first,
                  .layout = layout};
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
    const StoredTensor& from = *read.stored;
    const bool as_it_is = same_layout(from.dtype, view.dtype) && from.strides.empty() &&
                          read.layout.channels == 0 && read.layout.scale == 1.f;
    if (as_it_is)
      read.file->read(memory, static_cast<size_t>(n * element), from.offset + read.first * element,
                      shown(from.name).c_str());
    else
      read_in_chunks(read, view.dtype, n, [&](const void* bytes, int64_t at, int64_t count) {
        std::memcpy(memory + at * element, bytes, static_cast<size_t>(count * element));
      });
  });
}

}  // namespace srpo::io
