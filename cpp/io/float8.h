#pragma once
#include <cstdint>

namespace srpo::io {

/// The largest magnitude of n floats; a negative number if one is not finite.
float largest_magnitude(const float* values, int64_t n);

/// n floats, each divided by `scale`, as F8_E4M3: rounded to nearest, ties to even; what is beyond 448
/// becomes 448.
void encode_e4m3(uint8_t* to, const float* values, int64_t n, float scale);

}  // namespace srpo::io
