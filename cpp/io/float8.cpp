#include "cpp/io/float8.h"

#include <bit>
#include <cmath>

namespace srpo::io {
namespace {

constexpr float kLeastNormal = 0x1p-6f;
constexpr uint8_t kMostCode = 0x7e;  // 448; 0x7f is the NaN

/// The code of a magnitude: four exponent bits of bias 7 and three of mantissa.
uint8_t code_of(float magnitude) {
  // Subnormals are multiples of 2^-9; eight of them are the least normal number, and its code.
  if (magnitude < kLeastNormal) return static_cast<uint8_t>(std::nearbyint(magnitude * 0x1p9f));
  if (magnitude >= kMostE4M3) return kMostCode;
  uint32_t bits = std::bit_cast<uint32_t>(magnitude);
  bits += 0x7ffffu + ((bits >> 20) & 1u);  // ties to even at the third bit of the mantissa
  return static_cast<uint8_t>((bits >> 20) - ((127u - 7u) << 3));
}

}  // namespace

float largest_magnitude(const float* values, int64_t n) {
  float largest = 0.f;
  for (int64_t i = 0; i < n; ++i) {
    const float magnitude = std::fabs(values[i]);
    if (!std::isfinite(magnitude)) return -1.f;
    largest = magnitude > largest ? magnitude : largest;
  }
  return largest;
}

void encode_e4m3(uint8_t* to, const float* values, int64_t n, float scale) {
  for (int64_t i = 0; i < n; ++i) {
    const float value = values[i] / scale;
    const uint8_t sign = std::signbit(value) ? 0x80 : 0;
    to[i] = static_cast<uint8_t>(code_of(std::fabs(value)) | sign);
  }
}

}  // namespace srpo::io
