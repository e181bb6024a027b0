#include "cpp/io/float8.h"

#include <cmath>

#include "cpp/ops/quantize/e4m3.h"

namespace srpo::io {
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
  for (int64_t i = 0; i < n; ++i) to[i] = e4m3_of(values[i] / scale);
}

}  // namespace srpo::io
