#pragma once
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "cpp/core/dtype.h"

namespace srpo::io {

/// A dtype as safetensors names it. Types of less than a byte are not among them.
enum class FileDType : uint8_t {
  kBool,
  kU8,
  kI8,
  kF8E4M3,
  kF8E5M2,
  kF8E8M0,
  kI16,
  kU16,
  kF16,
  kBF16,
  kI32,
  kU32,
  kF32,
  kC64,
  kF64,
  kI64,
  kU64,
};

const char* name_of(FileDType dtype);
size_t size_of(FileDType dtype);
std::optional<FileDType> file_dtype_of(std::string_view name);

/// Whether elements of a file's dtype can be read into a tensor's: floats into float32 and bfloat16
/// (F16 into float16 too), integers into int32, U8 and BOOL into uint8.
bool converts(FileDType from, DType to);

/// Converts n elements; rounds to nearest even, a double by way of float. The index of the first
/// integer that int32 cannot hold, else -1. Equal layouts are copied.
int64_t convert(void* to, DType to_dtype, const void* from, FileDType from_dtype, int64_t n);

/// Whether the file's bytes are the tensor's.
bool same_layout(FileDType from, DType to);

}  // namespace srpo::io
