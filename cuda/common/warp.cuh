// What the 32 lanes of a warp do together. All of them must come: the emulation says so when one does
// not, or comes to another place.
#pragma once
#include "cuda/common/target.cuh"

namespace srpo::cuda {

#ifdef __CUDACC__

template <typename T>
SRPO_DEVICE T shuffle(T value, int source) {
  return __shfl_sync(0xffffffffu, value, source);
}

SRPO_DEVICE unsigned ballot(bool value) {
  return __ballot_sync(0xffffffffu, value);
}

SRPO_DEVICE bool elect_one() {
  unsigned elected;
  asm volatile("{\n.reg .pred p;\nelect.sync _|p, 0xffffffff;\nselp.u32 %0, 1, 0, p;\n}\n"
               : "=r"(elected));
  return elected != 0;
}

#else

/// The value of another lane. 4 or 8 bytes.
template <typename T>
SRPO_DEVICE T shuffle(T value, int source) {
  static_assert(sizeof(T) == 4 || sizeof(T) == 8);
  struct {
    T from, to;
    int source;
  } lane{value, value, source & (kWarp - 1)};
  using Lane = decltype(lane);
  emulation::meet_warp("shuffle", lane, [](void* const* lanes) {
    for (int i = 0; i < kWarp; ++i) {
      auto* self = static_cast<Lane*>(lanes[i]);
      self->to = static_cast<Lane*>(lanes[self->source])->from;
    }
  });
  return lane.to;
}

/// A bit a lane: whether its value is true.
SRPO_DEVICE unsigned ballot(bool value) {
  struct Lane {
    bool from;
    unsigned to;
  } lane{value, 0};
  emulation::meet_warp("ballot", lane, [](void* const* lanes) {
    unsigned bits = 0;
    for (int i = 0; i < kWarp; ++i) bits |= (static_cast<Lane*>(lanes[i])->from ? 1u : 0u) << i;
    for (int i = 0; i < kWarp; ++i) static_cast<Lane*>(lanes[i])->to = bits;
  });
  return lane.to;
}

/// True in one lane, always the same.
SRPO_DEVICE bool elect_one() {
  int nothing = 0;
  emulation::meet_warp("elect_one", nothing, nullptr);
  return emulation::current->rank % kWarp == 0;
}

#endif

template <typename T>
SRPO_DEVICE T shuffle_xor(T value, int mask) {
  return shuffle(value, lane() ^ mask);
}
/// The value of the lane `delta` above; its own where there is none.
template <typename T>
SRPO_DEVICE T shuffle_down(T value, int delta) {
  return shuffle(value, lane() + delta < kWarp ? lane() + delta : lane());
}
template <typename T>
SRPO_DEVICE T shuffle_up(T value, int delta) {
  return shuffle(value, lane() >= delta ? lane() - delta : lane());
}

#ifdef __CUDACC__

template <typename T, typename F>
SRPO_DEVICE T butterfly(T value, int lanes, const F& f) {
  for (int mask = lanes / 2; mask > 0; mask /= 2) value = f(value, shuffle_xor(value, mask));
  return value;
}

#else

/// What nearly every kernel waits for: all steps at one meeting of the lanes.
template <typename T, typename F>
SRPO_DEVICE T butterfly(T value, int lanes, const F&) {
  struct Lane {
    T value;
    int lanes;
  } lane{value, lanes};
  emulation::meet_warp("warp reduction", lane, [](void* const* all) {
    for (int mask = static_cast<Lane*>(all[0])->lanes / 2; mask > 0; mask /= 2) {
      T next[kWarp];
      for (int i = 0; i < kWarp; ++i)
        next[i] = F{}(static_cast<Lane*>(all[i])->value, static_cast<Lane*>(all[i ^ mask])->value);
      for (int i = 0; i < kWarp; ++i) static_cast<Lane*>(all[i])->value = next[i];
    }
  });
  return lane.value;
}

#endif

SRPO_DEVICE bool any_lane(bool value) {
  return ballot(value) != 0;
}
SRPO_DEVICE bool all_lanes(bool value) {
  return ballot(value) == 0xffffffffu;
}

/// The sum over the lanes, in every lane, always in the same order; `lanes`: over groups of so many
/// neighbours, a power of two. A butterfly: in step m a lane adds what lane ^ m has.
template <typename T>
SRPO_DEVICE T warp_sum(T value, int lanes = kWarp) {
  return butterfly(value, lanes, [](T a, T b) { return a + b; });
}

SRPO_DEVICE float warp_max(float value, int lanes = kWarp) {
  return butterfly(value, lanes, [](float a, float b) { return fmaxf(a, b); });
}
SRPO_DEVICE uint32_t warp_max(uint32_t value) {
  return butterfly(value, kWarp, [](uint32_t a, uint32_t b) { return a > b ? a : b; });
}

}  // namespace srpo::cuda
