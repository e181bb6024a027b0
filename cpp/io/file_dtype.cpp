#include "cpp/io/file_dtype.h"

#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

namespace srpo::io {
namespace {

struct Row {
  const char* name;
  size_t bytes;
};

constexpr Row kRows[] = {
    {"BOOL", 1}, {"U8", 1},  {"I8", 1},  {"F8_E4M3", 1}, {"F8_E5M2", 1}, {"F8_E8M0", 1},
    {"I16", 2},  {"U16", 2}, {"F16", 2}, {"BF16", 2},    {"I32", 4},     {"U32", 4},
    {"F32", 4},  {"C64", 8}, {"F64", 8}, {"I64", 8},     {"U64", 8},
};

const Row& row_of(FileDType dtype) {
  return kRows[static_cast<size_t>(dtype)];
}

struct F16 {
  uint16_t bits;
  explicit operator float() const {
    // Shifted into place, a half is 2^-112 of itself as a float, subnormals included.
    const uint32_t magnitude = (bits & 0x7fffu) << 13;
    const float value = std::bit_cast<float>(magnitude) * 0x1p112f;
    const uint32_t finite = std::bit_cast<uint32_t>(value);
    const uint32_t special = magnitude | 0x7f800000u;
    const uint32_t sign = (bits & 0x8000u) << 16;
    return std::bit_cast<float>((magnitude >= 0x0f800000u ? special : finite) | sign);
  }
};

/// Values of an 8-bit float with a sign, E exponent bits and 7 - E of mantissa. E4M3 has no infinity
/// and one NaN; E5M2 is IEEE's.
std::array<float, 256> table_of(int exponent_bits, bool ieee) {
  std::array<float, 256> table{};
  const int mantissa_bits = 7 - exponent_bits;
  const int bias = (1 << (exponent_bits - 1)) - 1;
  const int top = (1 << exponent_bits) - 1;
  for (int code = 0; code < 256; ++code) {
    const int exponent = (code & 0x7f) >> mantissa_bits;
    const int mantissa = code & ((1 << mantissa_bits) - 1);
    float value = exponent == 0 ? std::ldexp(static_cast<float>(mantissa), 1 - bias - mantissa_bits)
                                : std::ldexp(static_cast<float>(mantissa + (1 << mantissa_bits)),
                                             exponent - bias - mantissa_bits);
    if (exponent == top && ieee)
      value = mantissa == 0 ? std::numeric_limits<float>::infinity()
                            : std::numeric_limits<float>::quiet_NaN();
    if (!ieee && (code & 0x7f) == 0x7f) value = std::numeric_limits<float>::quiet_NaN();
    table[static_cast<size_t>(code)] = code & 0x80 ? -value : value;
  }
  return table;
}

struct E4M3 {
  uint8_t bits;
  explicit operator float() const {
    static const auto table = table_of(4, false);
    return table[bits];
  }
};
struct E5M2 {
  uint8_t bits;
  explicit operator float() const {
    static const auto table = table_of(5, true);
    return table[bits];
  }
};

template <typename T>
T element(const void* from, int64_t i) {
  T value;
  std::memcpy(&value, static_cast<const char*>(from) + i * static_cast<int64_t>(sizeof(T)),
              sizeof(T));
  return value;
}

template <typename From, typename To>
void convert_floats(void* to, const void* from, int64_t n) {
  for (int64_t i = 0; i < n; ++i)
    static_cast<To*>(to)[i] = To(static_cast<float>(element<From>(from, i)));
}

template <typename From>
void convert_floats(void* to, DType dtype, const void* from, int64_t n) {
  if (dtype == DType::kFloat32)
    convert_floats<From, float>(to, from, n);
  else
    convert_floats<From, bfloat16>(to, from, n);
}

template <typename From>
int64_t convert_integers(void* to, const void* from, int64_t n) {
  constexpr int64_t kLow = std::numeric_limits<int32_t>::min();
  constexpr int64_t kHigh = std::numeric_limits<int32_t>::max();
  int64_t outside = -1;
  for (int64_t i = n - 1; i >= 0; --i) {
    const From value = element<From>(from, i);
    if constexpr (sizeof(From) == 8 && std::is_unsigned_v<From>) {
      if (value > static_cast<uint64_t>(kHigh)) outside = i;
    } else {
      if (int64_t{value} < kLow || int64_t{value} > kHigh) outside = i;
    }
    static_cast<int32_t*>(to)[i] = static_cast<int32_t>(value);
  }
  return outside;
}

bool is_float(FileDType dtype) {
  switch (dtype) {
    case FileDType::kF8E4M3:
    case FileDType::kF8E5M2:
    case FileDType::kF16:
    case FileDType::kBF16:
    case FileDType::kF32:
    case FileDType::kF64:
      return true;
    default:
      return false;
  }
}

}  // namespace

const char* name_of(FileDType dtype) {
  return row_of(dtype).name;
}

size_t size_of(FileDType dtype) {
  return row_of(dtype).bytes;
}

std::optional<FileDType> file_dtype_of(std::string_view name) {
  for (size_t i = 0; i < std::size(kRows); ++i)
    if (name == kRows[i].name) return static_cast<FileDType>(i);
  return std::nullopt;
}

bool same_layout(FileDType from, DType to) {
  switch (to) {
    case DType::kFloat32:
      return from == FileDType::kF32;
    case DType::kBFloat16:
      return from == FileDType::kBF16;
    case DType::kFloat16:
      return from == FileDType::kF16;
    case DType::kInt32:
      return from == FileDType::kI32;
    case DType::kUInt8:
      return from == FileDType::kU8 || from == FileDType::kBool;
  }
  return false;
}

bool converts(FileDType from, DType to) {
  if (same_layout(from, to)) return true;
  if (to == DType::kFloat32 || to == DType::kBFloat16) return is_float(from);
  return to == DType::kInt32 && !is_float(from) && from != FileDType::kC64 &&
         from != FileDType::kF8E8M0;
}

int64_t convert(void* to, DType to_dtype, const void* from, FileDType from_dtype, int64_t n) {
  if (same_layout(from_dtype, to_dtype)) {
    std::memcpy(to, from, static_cast<size_t>(n) * size_of(from_dtype));
    return -1;
  }
  switch (from_dtype) {
    case FileDType::kF32:
      convert_floats<float>(to, to_dtype, from, n);
      return -1;
    case FileDType::kF64:
      convert_floats<double>(to, to_dtype, from, n);
      return -1;
    case FileDType::kF16:
      convert_floats<F16>(to, to_dtype, from, n);
      return -1;
    case FileDType::kBF16:
      convert_floats<bfloat16>(to, to_dtype, from, n);
      return -1;
    case FileDType::kF8E4M3:
      convert_floats<E4M3>(to, to_dtype, from, n);
      return -1;
    case FileDType::kF8E5M2:
      convert_floats<E5M2>(to, to_dtype, from, n);
      return -1;
    case FileDType::kBool:
    case FileDType::kU8:
      return convert_integers<uint8_t>(to, from, n);
    case FileDType::kI8:
      return convert_integers<int8_t>(to, from, n);
    case FileDType::kI16:
      return convert_integers<int16_t>(to, from, n);
    case FileDType::kU16:
      return convert_integers<uint16_t>(to, from, n);
    case FileDType::kI32:
      return convert_integers<int32_t>(to, from, n);
    case FileDType::kU32:
      return convert_integers<uint32_t>(to, from, n);
    case FileDType::kI64:
      return convert_integers<int64_t>(to, from, n);
    case FileDType::kU64:
      return convert_integers<uint64_t>(to, from, n);
    case FileDType::kC64:
    case FileDType::kF8E8M0:
      break;
  }
  throw Error("ERR_DTYPE",
              std::string("expected a dtype that converts, got ") + name_of(from_dtype));
}

}  // namespace srpo::io
