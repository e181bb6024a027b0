// AdamW and the moving average over runs of elements, for whatever target the including file has set.
// Nothing is contracted: float32 weights, split masters and every instruction set get the same bits.
#pragma GCC optimize("fp-contract=off")

#include "cpp/cpu/update/adamw_step_kernels.h"
#include "cpp/cpu/vector.h"

namespace {

using srpo::cpu::AdamwNumbers;

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

template <typename G>
void full(float* w, float* m, float* v, const G* grad, int64_t n, const AdamwNumbers& numbers) {
  for_each_16(n, [&](int64_t i, int64_t count) {
    Element e = {load_at(w, i, count), load_at(m, i, count), load_at(v, i, count)};
    update(e, load_at(grad, i, count), numbers);
    store_at(w, i, e.w, count);
    store_at(m, i, e.m, count);
    store_at(v, i, e.v, count);
  });
}

template <typename G>
void halves(uint16_t* w, uint16_t* remainder, float* m, float* v, const G* grad, int64_t n,
            const AdamwNumbers& numbers) {
  for_each_16(n, [&](int64_t i, int64_t count) {
    Element e = {join(w, remainder, i, count), load_at(m, i, count), load_at(v, i, count)};
    update(e, load_at(grad, i, count), numbers);
    split(w, remainder, i, e.w, count);
    store_at(m, i, e.m, count);
    store_at(v, i, e.v, count);
  });
}

/// The upper half of bits + random; what is not finite stays.
SRPO_INLINE u32x16 round_with(f32x16 w, u32x16 random) {
  const u32x16 bits = (u32x16)w;
  const u32x16 finite = (u32x16)((bits & 0x7f800000u) != 0x7f800000u);
  return (bits + (random & finite)) >> 16;
}

template <typename G>
void rounded(uint16_t* w, const uint16_t* random, float* m, float* v, const G* grad, int64_t n,
             const AdamwNumbers& numbers) {
  for_each_16(n, [&](int64_t i, int64_t count) {
    Element e = {load_at(w, i, count), load_at(m, i, count), load_at(v, i, count)};
    update(e, load_at(grad, i, count), numbers);
    store_bits(w, i, round_with(e.w, load_bits(random, i, count)), count);
    store_at(m, i, e.m, count);
    store_at(v, i, e.v, count);
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

extern const AdamwTables SRPO_NAMED(adamw_) = {
    .f32 = {full<float>, halves<float>, rounded<float>},
    .bf16 = {full<bf16_bits>, halves<bf16_bits>, rounded<bf16_bits>},
    .ema_full = ema_full,
    .ema_halves = ema_halves,
};

}  // namespace srpo::cpu
