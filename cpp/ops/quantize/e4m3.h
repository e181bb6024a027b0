#pragma once
#include <cstdint>

#include "cpp/core/anywhere.h"

namespace srpo {

/// F8_E4M3 (OCP's, without infinities): sign, four exponent bits of bias 7, three of mantissa; 0x7f is the NaN.
constexpr float kMostE4M3 = 448.f;

/// The code nearest to a value, ties to even; what is beyond 448 becomes 448, and NaN the NaN.
SRPO_HOST_DEVICE inline uint8_t e4m3_of(float value) {
  const uint32_t bits = __builtin_bit_cast(uint32_t, value);
  const auto sign = static_cast<uint8_t>(bits >> 24 & 0x80);
  uint32_t magnitude = bits & 0x7fffffffu;
  if (magnitude > 0x7f800000u) return sign | 0x7f;
  // Subnormals are multiples of 2^-9; eight of them are the least normal number, and its code. Beside 2^14 a
  // float has steps of 2^-9.
  if (magnitude < 0x3c800000u) {
    const float beside = __builtin_bit_cast(float, magnitude) + 0x1p14f;
    return sign | static_cast<uint8_t>(__builtin_bit_cast(uint32_t, beside) & 0xf);
  }
  magnitude += 0x7ffffu + (magnitude >> 20 & 1u);  // ties to even at the third bit of the mantissa
  const uint32_t code = (magnitude >> 20) - ((127u - 7u) << 3);
  return sign | static_cast<uint8_t>(code < 0x7e ? code : 0x7e);
}

/// What a code stands for, exactly.
SRPO_HOST_DEVICE inline float float_of_e4m3(uint8_t code) {
  if ((code & 0x7f) == 0x7f) return __builtin_bit_cast(float, 0x7fc00000u);
  // The same bits as a float32 have a bias that is 120 greater; a subnormal one is exact there too.
  const uint32_t bits = uint32_t{code & 0x80u} << 24 | uint32_t{code & 0x7fu} << 20;
  return __builtin_bit_cast(float, bits) * 0x1p120f;
}

/// By which a row is divided so that its largest magnitude becomes 448; a row of zeros stays as it is.
SRPO_HOST_DEVICE inline float e4m3_scale(float largest) {
  return largest == 0.f ? 1.f : largest / kMostE4M3;
}

}  // namespace srpo
