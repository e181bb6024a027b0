// Philox4x32-10 and what is drawn from its words. Plain functions over numbers: the cpu column, the
// cuda column and the emulated one compile this file and get the same bits, integers and floats.
//
//   word[0..3] = philox(counter[0..3], key[0..1])     ten rounds
//   uniform    = (word >> 8) / 2^24                   in [0, 1), every value exact
//   normals    = Box-Muller: sqrt(-2 ln u) (cos a, sin a), u and a from two words
//
// Logarithm, sine and cosine are polynomials in explicit fused multiply-adds, square root is IEEE's.
// Whoever includes this to draw normals compiles with contraction off (#pragma GCC optimize
// ("fp-contract=off"), nvcc --fmad=false), so that no other product and sum are fused.
// Source: Salmon et al., Parallel random numbers: as easy as 1, 2, 3 (SC 2011), sec. 3.3.
#pragma once
#include <cstdint>

#include "cpp/core/anywhere.h"

namespace srpo::random {

struct Words {
  uint32_t word[4];
};

/// One draw of four words. Counter and key are taken by value: a counter names a draw for good.
SRPO_ANYWHERE Words philox4x32(Words counter, uint32_t key0, uint32_t key1) {
  for (int round = 0; round < 10; ++round) {
    const uint64_t product0 = uint64_t{0xD2511F53} * counter.word[0];
    const uint64_t product1 = uint64_t{0xCD9E8D57} * counter.word[2];
    counter = {{static_cast<uint32_t>(product1 >> 32) ^ counter.word[1] ^ key0,
                static_cast<uint32_t>(product1),
                static_cast<uint32_t>(product0 >> 32) ^ counter.word[3] ^ key1,
                static_cast<uint32_t>(product0)}};
    key0 += 0x9E3779B9;  // the golden ratio
    key1 += 0xBB67AE85;  // sqrt(3) - 1
  }
  return counter;
}

SRPO_ANYWHERE float uniform(uint32_t word) {
  return static_cast<float>(static_cast<int32_t>(word >> 8)) * 0x1p-24f;
}

SRPO_ANYWHERE float fused(float a, float b, float c) {
  return __builtin_fmaf(a, b, c);
}

/// sqrt(-2 ln u) with u = (word + 1/2) / 2^32 rounded to float: from 0 to 6.77.
/// ln(1 + f) = f + f^2 (-1/2 + f P(f)), error below 6e-9, for 1 + f in [sqrt(1/2), sqrt(2)).
SRPO_ANYWHERE float radius(uint32_t word) {
  const float high = static_cast<float>(static_cast<int32_t>(word >> 16));
  const float low = static_cast<float>(static_cast<int32_t>(word & 0xffff));
  const float v = fused(high, 65536.f, low + 0.5f);
  const uint32_t shifted = __builtin_bit_cast(uint32_t, v) - 0x3f3504f3;  // sqrt(1/2)
  const float exponent = static_cast<float>((static_cast<int32_t>(shifted) >> 23) - 32);
  const float f = __builtin_bit_cast(float, (shifted & 0x007fffff) + 0x3f3504f3) - 1.f;
  float p = -0x1.38b59cp-4f;
  p = fused(p, f, 0x1.055b6ep-3f);
  p = fused(p, f, -0x1.0d853ep-3f);
  p = fused(p, f, 0x1.22da1cp-3f);
  p = fused(p, f, -0x1.547244p-3f);
  p = fused(p, f, 0x1.99a008p-3f);
  p = fused(p, f, -0x1.000226p-2f);
  p = fused(p, f, 0x1.555554p-2f);
  p = fused(p, f, -0.5f);
  const float ln = fused(exponent, 0x1.62e430p-1f, fused(f * f, p, f));
  return __builtin_sqrtf(-2.f * ln);
}

struct Direction {
  float cosine, sine;
};

/// Cosine and sine of 2 pi word / 2^32. The quarter turn is taken off in integers; what is left, in
/// [-pi/4, pi/4), goes through r + r^3 S(r^2) and 1 + z (-1/2 + z C(z)), errors below 4e-9.
SRPO_ANYWHERE Direction direction(uint32_t word) {
  const uint32_t quarter = (word + 0x20000000u) >> 30;
  const int32_t rest = static_cast<int32_t>(word - (quarter << 30));
  const float r = static_cast<float>(rest) * 0x1.921fb6p-30f;  // 2 pi / 2^32
  const float z = r * r;
  float s = -0x1.9943e4p-13f;
  s = fused(s, z, 0x1.11073cp-7f);
  s = fused(s, z, -0x1.555546p-3f);
  s = fused(r * z, s, r);
  float c = 0x1.99eb9cp-16f;
  c = fused(c, z, -0x1.6c0c34p-10f);
  c = fused(c, z, 0x1.55554ap-5f);
  c = fused(c, z, -0.5f);
  c = fused(c, z, 1.f);
  const float x = quarter & 1 ? s : c, y = quarter & 1 ? c : s;
  return {(quarter + 1) & 2 ? -x : x, quarter & 2 ? -y : y};
}

/// Four normals from one draw.
struct Normals {
  float value[4];
};
SRPO_ANYWHERE Normals normals(const Words& draw) {
  const float r0 = radius(draw.word[0]), r1 = radius(draw.word[2]);
  const Direction a0 = direction(draw.word[1]), a1 = direction(draw.word[3]);
  return {{r0 * a0.cosine, r0 * a0.sine, r1 * a1.cosine, r1 * a1.sine}};
}

}  // namespace srpo::random
