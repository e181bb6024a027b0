#pragma once
#include <cstdint>

#include "cpp/core/anywhere.h"

namespace srpo {

/// Adam's moments in fewer bits than a float. A moment changes by less than what its form can tell apart
/// (v by a thousandth an update), so each is rounded up or down with the odds of how near it is: right on
/// average, where rounding to nearest would leave it where it stands.
///
///   bfloat16   upper half of (bits + r),   r uniform in 0 .. 65535
///
///   8 bits     blocks of 256 elements; each has E, the exponent field of its largest magnitude once that is
///              rounded up, 32 at least, in one byte a moment
///     m        sign, 4 bits of exponent e, 3 of fraction f:
///              (1 + f / 8) 2^(e - 15 + E - 127),   e = 0: f / 8 2^(E - 14 - 127)    [18 binades]
///     v        no sign, code c:  the float of bits (c + 8 E - 248) << 20,   0: zero [32 binades]
///              What is not zero never becomes it, so that no step is divided by a v that was lost: the
///              smallest code stands for all below, and errs to the side of a smaller step.
///
/// What is not finite takes no r and stays so. Integers and powers of two alone: same bits everywhere.
constexpr int64_t kMomentBlock = 256;

/// E as a kernel takes it from memory, where fresh zeros stand for no exponent.
SRPO_HOST_DEVICE inline uint32_t moment_exponent_of(uint8_t stored) {
  return stored < 32 ? 32 : stored;
}
/// E of a block, from the largest of its elements' bits without their sign.
SRPO_HOST_DEVICE inline uint32_t moment_exponent(uint32_t largest) {
  const uint32_t exponent = (largest + 0xfffffu) >> 23;
  return exponent < 32 ? 32 : exponent > 255 ? 255 : exponent;
}

/// Bits of a float, rounded up or down to the upper 12, by 16 random ones.
SRPO_HOST_DEVICE inline uint32_t moment_upper(uint32_t magnitude, uint32_t random) {
  return (magnitude >= 0x7f800000u ? magnitude : magnitude + (random << 4)) >> 20;
}

SRPO_HOST_DEVICE inline uint8_t encode_first_moment(float m, uint32_t exponent, uint32_t random) {
  const uint32_t bits = __builtin_bit_cast(uint32_t, m), magnitude = bits & 0x7fffffffu;
  uint32_t code;
  if (magnitude >= (exponent - 14) << 23) {
    code = moment_upper(magnitude, random) + 120 - 8 * exponent;
  } else {  // in eighths of the lowest binade
    const float scale = __builtin_bit_cast(float, (271 - exponent) << 23);
    const float eighths = __builtin_bit_cast(float, magnitude) * scale;
    code = static_cast<uint32_t>(static_cast<int32_t>(
        eighths + static_cast<float>(static_cast<int32_t>(random)) * 0x1p-16f));
  }
  return static_cast<uint8_t>(code | (bits >> 24 & 0x80));
}
SRPO_HOST_DEVICE inline float decode_first_moment(uint8_t code, uint32_t exponent) {
  const uint32_t low = code & 0x7fu, sign = (code & 0x80u) << 24;
  const float unit = __builtin_bit_cast(float, (exponent - 17) << 23);
  const float magnitude = low >= 8 ? __builtin_bit_cast(float, (low + 8 * exponent - 120) << 20)
                                   : static_cast<float>(static_cast<int32_t>(low)) * unit;
  return __builtin_bit_cast(float, __builtin_bit_cast(uint32_t, magnitude) | sign);
}

SRPO_HOST_DEVICE inline uint8_t encode_second_moment(float v, uint32_t exponent, uint32_t random) {
  const uint32_t magnitude = __builtin_bit_cast(uint32_t, v) & 0x7fffffffu;
  const auto code = static_cast<int32_t>(moment_upper(magnitude, random) + 248 - 8 * exponent);
  return static_cast<uint8_t>(magnitude == 0 ? 0 : code < 1 ? 1 : code);
}
SRPO_HOST_DEVICE inline float decode_second_moment(uint8_t code, uint32_t exponent) {
  return code == 0 ? 0.f : __builtin_bit_cast(float, (code + 8 * exponent - 248) << 20);
}

}  // namespace srpo
