// AdamW and the moving average over runs of elements, for whatever target the including file has set.
// Nothing is contracted: float32 weights, split masters and every instruction set get the same bits.
// What is kept in fewer bits is as cpp/ops/update/master.h and moments.h have it, sixteen at a time.
#pragma GCC optimize("fp-contract=off")

#include "cpp/cpu/update/adamw_step_kernels.h"
#include "cpp/cpu/vector.h"

namespace {

using srpo::cpu::AdamwNumbers;
using srpo::cpu::AdamwRun;

using u8x16 = uint8_t __attribute__((vector_size(16)));

SRPO_INLINE f32x16 square_root(f32x16 x) {
  float a[16];
  store(a, x);
  for (int i = 0; i < 16; ++i) a[i] = __builtin_sqrtf(a[i]);
  return load(a);
}

struct Element {
  f32x16 w, m, v;
};

SRPO_INLINE void update(Element& e, f32x16 grad, const AdamwNumbers& numbers) {
  const f32x16 g = grad * numbers.clip;
  e.w = e.w * numbers.decay;
  e.m = e.m + (g - e.m) * numbers.beta1_rest;
  e.v = e.v * numbers.beta2 + (g * numbers.beta2_rest) * g;
  const f32x16 below = square_root(e.v) / numbers.root + numbers.eps;
  e.w = e.w - numbers.step_size * (e.m / below);
}

/// master = (weight - top bit of remainder) : remainder; see cpp/ops/update/master.h.
SRPO_INLINE u32x16 load_bits(const uint16_t* p, int64_t i, int64_t n) {
  u16x16 half = {};
  std::memcpy(&half, p + i, static_cast<size_t>(n) * sizeof *p);
  return __builtin_convertvector(half, u32x16);
}
SRPO_INLINE void store_bits(uint16_t* p, int64_t i, u32x16 bits, int64_t n) {
  const u16x16 half = __builtin_convertvector(bits, u16x16);
  std::memcpy(p + i, &half, static_cast<size_t>(n) * sizeof *p);
}
SRPO_INLINE f32x16 join(const uint16_t* w, const uint16_t* remainder, int64_t i, int64_t n) {
  const u32x16 lower = load_bits(remainder, i, n);
  return (f32x16)(((load_bits(w, i, n) - (lower >> 15)) << 16) | lower);
}
SRPO_INLINE void split(uint16_t* w, uint16_t* remainder, int64_t i, f32x16 master, int64_t n) {
  const u32x16 bits = (u32x16)master;
  store_bits(w, i, (bits >> 16) + ((bits >> 15) & 1u), n);
  store_bits(remainder, i, bits, n);
}

/// The upper half of bits + random; what is not finite stays.
SRPO_INLINE u32x16 round_with(f32x16 w, u32x16 random) {
  const u32x16 bits = (u32x16)w;
  const u32x16 finite = (u32x16)((bits & 0x7f800000u) != 0x7f800000u);
  return (bits + (random & finite)) >> 16;
}

struct FullWeights {
  SRPO_INLINE static f32x16 get(const AdamwRun& run, int64_t i, int64_t n) {
    return load_at(static_cast<const float*>(run.w), i, n);
  }
  SRPO_INLINE static void put(const AdamwRun& run, int64_t i, f32x16 w, int64_t n) {
    store_at(static_cast<float*>(run.w), i, w, n);
  }
};
struct SplitWeights {
  SRPO_INLINE static f32x16 get(const AdamwRun& run, int64_t i, int64_t n) {
    return join(static_cast<const uint16_t*>(run.w), run.remainder, i, n);
  }
  SRPO_INLINE static void put(const AdamwRun& run, int64_t i, f32x16 w, int64_t n) {
    split(static_cast<uint16_t*>(run.w), run.remainder, i, w, n);
  }
};
struct RoundedWeights {
  SRPO_INLINE static f32x16 get(const AdamwRun& run, int64_t i, int64_t n) {
    return load_at(static_cast<const bf16_bits*>(run.w), i, n);
  }
  SRPO_INLINE static void put(const AdamwRun& run, int64_t i, f32x16 w, int64_t n) {
    store_bits(static_cast<uint16_t*>(run.w), i, round_with(w, load_bits(run.random_w, i, n)), n);
  }
};

template <typename Weights, typename G>
SRPO_INLINE void update_at(const AdamwRun& run, int64_t i, int64_t n, Element& e,
                           const AdamwNumbers& numbers) {
  e.w = Weights::get(run, i, n);
  update(e, load_at(static_cast<const G*>(run.grad), i, n), numbers);
  Weights::put(run, i, e.w, n);
}

template <typename Weights, typename G>
void float_moments(const AdamwRun& run, const AdamwNumbers& numbers) {
  auto *m = static_cast<float*>(run.m), *v = static_cast<float*>(run.v);
  for_each_16(run.n, [&](int64_t i, int64_t n) {
    Element e = {{}, load_at(m, i, n), load_at(v, i, n)};
    update_at<Weights, G>(run, i, n, e, numbers);
    store_at(m, i, e.m, n);
    store_at(v, i, e.v, n);
  });
}

template <typename Weights, typename G>
void half_moments(const AdamwRun& run, const AdamwNumbers& numbers) {
  auto *m = static_cast<uint16_t*>(run.m), *v = static_cast<uint16_t*>(run.v);
  for_each_16(run.n, [&](int64_t i, int64_t n) {
    Element e = {{}, load_at(m, i, n), load_at(v, i, n)};
    update_at<Weights, G>(run, i, n, e, numbers);
    store_bits(m, i, round_with(e.m, load_bits(run.random_m, i, n)), n);
    store_bits(v, i, round_with(e.v, load_bits(run.random_v, i, n)), n);
  });
}

SRPO_INLINE u32x16 load_codes(const uint8_t* p, int64_t i, int64_t n) {
  u8x16 codes = {};
  std::memcpy(&codes, p + i, static_cast<size_t>(n));
  return __builtin_convertvector(codes, u32x16);
}
SRPO_INLINE void store_codes(uint8_t* p, int64_t i, u32x16 codes, int64_t n) {
  const u8x16 bytes = __builtin_convertvector(codes, u8x16);
  std::memcpy(p + i, &bytes, static_cast<size_t>(n));
}
SRPO_INLINE f32x16 float_of(u32x16 bits) {
  return (f32x16)bits;
}
SRPO_INLINE float float_of(uint32_t bits) {
  return __builtin_bit_cast(float, bits);
}

SRPO_INLINE f32x16 decode_first(u32x16 codes, uint32_t exponent) {
  const u32x16 low = codes & 0x7fu;
  const f32x16 eighths = __builtin_convertvector((i32x16)low, f32x16);
  const u32x16 small = (u32x16)(eighths * float_of((exponent - 17) << 23));
  const u32x16 magnitude = low >= 8 ? (low + (8 * exponent - 120)) << 20 : small;
  return float_of(magnitude | (codes & 0x80u) << 24);
}
SRPO_INLINE f32x16 decode_second(u32x16 codes, uint32_t exponent) {
  return float_of(codes == 0 ? codes : (codes + (8 * exponent - 248)) << 20);
}

SRPO_INLINE u32x16 upper_12(u32x16 magnitude, u32x16 random) {
  return (magnitude >= 0x7f800000u ? magnitude : magnitude + (random << 4)) >> 20;
}
SRPO_INLINE u32x16 encode_first(f32x16 m, uint32_t exponent, u32x16 random) {
  const u32x16 bits = (u32x16)m, magnitude = bits & 0x7fffffffu;
  const u32x16 normal = upper_12(magnitude, random) + (120 - 8 * exponent);
  const f32x16 eighths = float_of(magnitude) * float_of((271 - exponent) << 23) +
                         __builtin_convertvector((i32x16)random, f32x16) * 0x1p-16f;
  const u32x16 small = (u32x16) __builtin_convertvector(eighths, i32x16);
  return (magnitude >= (exponent - 14) << 23 ? normal : small) | ((bits >> 24) & 0x80u);
}
SRPO_INLINE u32x16 encode_second(f32x16 v, uint32_t exponent, u32x16 random) {
  const u32x16 magnitude = (u32x16)v & 0x7fffffffu;
  const i32x16 code = (i32x16)(upper_12(magnitude, random) + (248 - 8 * exponent));
  const u32x16 positive = (u32x16)(code < 1 ? i32x16{} + 1 : code);
  return magnitude == 0 ? u32x16{} : positive;
}

/// moment_exponent of cpp/ops/update/moments.h, of a run's magnitudes.
SRPO_INLINE uint32_t exponent_of(const f32x16* values, int64_t n) {
  u32x16 largest = {};
  for (int64_t i = 0; i < n; i += 16) {
    const u32x16 magnitude = (u32x16)values[i / 16] & 0x7fffffffu;
    largest = magnitude > largest ? magnitude : largest;
  }
  uint32_t most = 0;
  for (int i = 0; i < 16; ++i) most = largest[i] > most ? largest[i] : most;
  const uint32_t exponent = (most + 0xfffffu) >> 23;
  return exponent < 32 ? 32 : exponent > 255 ? 255 : exponent;
}

template <typename Weights, typename G>
void byte_moments(const AdamwRun& run, const AdamwNumbers& numbers) {
  constexpr int64_t kBlock = 256;
  f32x16 m[kBlock / 16], v[kBlock / 16];
  auto *m_codes = static_cast<uint8_t*>(run.m), *v_codes = static_cast<uint8_t*>(run.v);
  const uint32_t m_before = *run.m_scale < 32 ? 32 : *run.m_scale;
  const uint32_t v_before = *run.v_scale < 32 ? 32 : *run.v_scale;
  for_each_16(run.n, [&](int64_t i, int64_t n) {
    Element e = {{},
                 decode_first(load_codes(m_codes, i, n), m_before),
                 decode_second(load_codes(v_codes, i, n), v_before)};
    update_at<Weights, G>(run, i, n, e, numbers);
    m[i / 16] = e.m;
    v[i / 16] = e.v;
  });
  const uint32_t m_after = exponent_of(m, run.n), v_after = exponent_of(v, run.n);
  *run.m_scale = static_cast<uint8_t>(m_after);
  *run.v_scale = static_cast<uint8_t>(v_after);
  for_each_16(run.n, [&](int64_t i, int64_t n) {
    store_codes(m_codes, i, encode_first(m[i / 16], m_after, load_bits(run.random_m, i, n)), n);
    store_codes(v_codes, i, encode_second(v[i / 16], v_after, load_bits(run.random_v, i, n)), n);
  });
}

template <typename T>
void factored(float* out, const void* dy, int64_t N, const void* x, int64_t K, int64_t R,
              int64_t n) {
  const T *scales = static_cast<const T*>(dy), *rows = static_cast<const T*>(x);
  for_each_16(n, [&](int64_t i, int64_t count) {
    f32x16 sum = {};
    for (int64_t r = 0; r < R; ++r)
      sum = sum + load_some(scales + r * N, 1)[0] * load_at(rows + r * K, i, count);
    store_at(out, i, sum, count);
  });
}

void ema_full(float* ema, const float* w, float rest, int64_t n) {
  for_each_16(n, [&](int64_t i, int64_t count) {
    const f32x16 old = load_at(ema, i, count);
    store_at(ema, i, old + rest * (load_at(w, i, count) - old), count);
  });
}

void ema_halves(float* ema, const uint16_t* w, const uint16_t* remainder, float rest, int64_t n) {
  for_each_16(n, [&](int64_t i, int64_t count) {
    const f32x16 old = load_at(ema, i, count);
    store_at(ema, i, old + rest * (join(w, remainder, i, count) - old), count);
  });
}

}  // namespace

namespace srpo::cpu {

#define SRPO_BY_GRADIENT(moments, Weights) {moments<Weights, float>, moments<Weights, bf16_bits>}
#define SRPO_BY_MOMENTS(Weights)                                                      \
  {SRPO_BY_GRADIENT(float_moments, Weights), SRPO_BY_GRADIENT(half_moments, Weights), \
   SRPO_BY_GRADIENT(byte_moments, Weights)}

extern const AdamwTables SRPO_NAMED(adamw_) = {
    .factored = {factored<float>, factored<bf16_bits>},
    .step = {SRPO_BY_MOMENTS(FullWeights), SRPO_BY_MOMENTS(SplitWeights),
             SRPO_BY_MOMENTS(RoundedWeights)},
    .ema_full = ema_full,
    .ema_halves = ema_halves,
};

}  // namespace srpo::cpu
