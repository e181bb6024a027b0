#pragma once
#include <cstddef>
#include <cstdint>

#include "cpp/core/anywhere.h"
#include "cpp/core/error.h"

namespace srpo {

enum class DType : uint8_t { kFloat32, kBFloat16, kFloat16, kInt32, kUInt8 };

/// A float32 without its lower 16 bits. Rounds to nearest even; NaN stays NaN.
struct bfloat16 {
  uint16_t bits;

  bfloat16() = default;
  SRPO_HOST_DEVICE explicit bfloat16(float value) {
    const uint32_t u = __builtin_bit_cast(uint32_t, value);
    if ((u & 0x7fffffffu) > 0x7f800000u) {
      bits = static_cast<uint16_t>((u >> 16) | 0x40);
    } else {
      bits = static_cast<uint16_t>((u + 0x7fffu + ((u >> 16) & 1u)) >> 16);
    }
  }
  SRPO_HOST_DEVICE explicit operator float() const {
    return __builtin_bit_cast(float, static_cast<uint32_t>(bits) << 16);
  }
};

constexpr size_t size_of(DType dtype) {
  switch (dtype) {
    case DType::kFloat32:
    case DType::kInt32:
      return 4;
    case DType::kBFloat16:
    case DType::kFloat16:
      return 2;
    case DType::kUInt8:
      return 1;
  }
  return 0;
}

constexpr const char* name_of(DType dtype) {
  switch (dtype) {
    case DType::kFloat32:
      return "float32";
    case DType::kBFloat16:
      return "bfloat16";
    case DType::kFloat16:
      return "float16";
    case DType::kInt32:
      return "int32";
    case DType::kUInt8:
      return "uint8";
  }
  return "?";
}

/// Calls f.template operator()<T>() with the C++ type of an arithmetic dtype.
template <typename F>
decltype(auto) visit_float(DType dtype, F&& f) {
  switch (dtype) {
    case DType::kFloat32:
      return f.template operator()<float>();
    case DType::kBFloat16:
      return f.template operator()<bfloat16>();
    default:
      throw Error("ERR_DTYPE", std::string("expected float32 or bfloat16, got ") + name_of(dtype));
  }
}

}  // namespace srpo
