#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cpp/io/file_dtype.h"

namespace srpo::io {

/// A safetensors file: 8 bytes of header length (little-endian), the header (JSON, blanks allowed
/// around it), the data. Every limit below is ours but the first, which is the format's.
constexpr int64_t kMostHeaderBytes = 100'000'000;
constexpr size_t kMostTensors = 200'000;
constexpr size_t kMostMetadata = 100'000;
constexpr size_t kMostDimensions = 32;

struct TensorEntry {
  std::string name;
  FileDType dtype = FileDType::kF32;
  std::vector<int64_t> shape;
  int64_t begin = 0, end = 0;  // bytes, from the start of the data

  int64_t elements() const { return (end - begin) / static_cast<int64_t>(size_of(dtype)); }
};

struct SafetensorsHeader {
  std::vector<std::pair<std::string, std::string>> metadata;
  std::vector<TensorEntry> tensors;  // in the order of their data
};

/// Reads a header and believes nothing of it: strict JSON and UTF-8, no key twice, known dtypes, shapes
/// whose bytes are the offsets', and offsets that fill the data from 0 to its end without hole or
/// overlap. Time is linear in the text but for one sort of the names; memory is bounded by the limits.
/// Throws ERR_CHECKPOINT: `<file>: <tensor or header>: expected ..., got ...`.
SafetensorsHeader parse_safetensors_header(const std::string& file, std::string_view text,
                                           int64_t data_bytes);

/// A name from a file as a message may show it: one line, at most 120 bytes.
std::string shown(std::string_view name);

}  // namespace srpo::io
