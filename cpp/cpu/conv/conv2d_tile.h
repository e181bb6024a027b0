// The tiles of a convolution, for whatever target the including file has set: kRows pixels by
// kColumns channels of y in registers, over all taps and input channels. The weights are packed, the
// picture is not: kRows pointers a tap find its rows, wherever stride, padding or upsampling put them.
#pragma once
#include "cpp/cpu/conv/conv2d_kernels.h"
#include "cpp/cpu/vector.h"

namespace {

using srpo::cpu::ConvRange;

#if defined(__AVX512F__)
constexpr int kRows = 14, kVectors = 2;  // 28 of 32 registers are sums
#elif defined(__AVX2__)
constexpr int kRows = 6, kVectors = 1;  // 12 of 16, a vector being two
#else
constexpr int kRows = 2, kVectors = 1;  // 8 of 16, a vector being four
#endif
constexpr int kColumns = 16 * kVectors;
constexpr int kLanes = 16;  // kRows, rounded up for the loops over pointers

/// Where the pixels of a tile lie.
struct TilePlaces {
  int64_t origin[kLanes];  // of the input pixel (in_step_y * i, in_step_x * j), in elements
  int32_t y[kLanes], x[kLanes];
  int64_t out[kLanes];  // of the output pixel, in elements
  int32_t lowest_y, highest_y, lowest_x, highest_x;
};

/// Steps through [B, grid_rows, grid_columns].
template <typename Range>
struct Walk {
  const Range& r;
  int64_t b, i, j;

  SRPO_INLINE Walk(const Range& range, int64_t at) : r(range) {
    j = at % r.grid_columns;
    i = at / r.grid_columns % r.grid_rows;
    b = at / (r.grid_columns * r.grid_rows);
  }
  SRPO_INLINE void next() {
    if (++j < r.grid_columns) return;
    j = 0;
    if (++i < r.grid_rows) return;
    i = 0;
    ++b;
  }
  SRPO_INLINE void place(TilePlaces& places, int m) const {
    const int64_t y = i * r.in_step_y, x = j * r.in_step_x;
    places.y[m] = static_cast<int32_t>(y);
    places.x[m] = static_cast<int32_t>(x);
    places.origin[m] = ((b * r.H + y) * r.W + x) * r.C;
    places.out[m] =
        ((b * r.Ho + r.out_y + i * r.out_step_y) * r.Wo + r.out_x + j * r.out_step_x) * r.N +
        r.first_channel;
  }
};

template <typename Range>
SRPO_INLINE void place_tile(TilePlaces& places, Walk<Range>& walk, int count) {
  for (int m = 0; m < count; ++m) {
    walk.place(places, m);
    walk.next();
  }
  for (int m = count; m < kLanes; ++m) {
    places.origin[m] = places.origin[0];
    places.y[m] = places.y[0];
    places.x[m] = places.x[0];
  }
  places.lowest_y = places.highest_y = places.y[0];
  places.lowest_x = places.highest_x = places.x[0];
  for (int m = 1; m < count; ++m) {
    places.lowest_y = places.y[m] < places.lowest_y ? places.y[m] : places.lowest_y;
    places.highest_y = places.y[m] > places.highest_y ? places.y[m] : places.highest_y;
    places.lowest_x = places.x[m] < places.lowest_x ? places.x[m] : places.lowest_x;
    places.highest_x = places.x[m] > places.highest_x ? places.x[m] : places.highest_x;
  }
}

/// The rows of one tap.
template <typename In, typename Range>
SRPO_INLINE void tap_pointers(const In** rows, const TilePlaces& places, const Range& r,
                              int64_t tap) {
  const int32_t u = r.tap_y[tap], v = r.tap_x[tap];
  const int32_t H = static_cast<int32_t>(r.H), W = static_cast<int32_t>(r.W);
  const In* base = r.x + (u * r.W + v) * r.C;
  if (places.lowest_y + u >= 0 && places.highest_y + u < H && places.lowest_x + v >= 0 &&
      places.highest_x + v < W) {
    for (int m = 0; m < kLanes; ++m) rows[m] = base + places.origin[m];
    return;
  }
  for (int m = 0; m < kLanes; ++m) {
    const bool inside = static_cast<uint32_t>(places.y[m] + u) < static_cast<uint32_t>(H) &&
                        static_cast<uint32_t>(places.x[m] + v) < static_cast<uint32_t>(W);
    rows[m] = inside ? base + places.origin[m] : r.zeros;
  }
}

template <int V, typename Range>
SRPO_INLINE void store_tile(const f32x16 (&sums)[kRows][V], const TilePlaces& places,
                            const Range& r, int count) {
#pragma GCC unroll 2
  for (int v = 0; v < V; ++v) {
    const int64_t n = r.channels - v * 16 < 16 ? r.channels - v * 16 : 16;
    const f32x16 bias = load(r.bias + v * 16);
#pragma GCC unroll 14
    for (int m = 0; m < kRows; ++m) {
      if (m >= count) break;
      f32x16 y = sums[m][v] + bias;
      if (r.residual) y += load_at(r.residual + places.out[m], v * 16, n);
      store_at(r.y + places.out[m], v * 16, y, n);
    }
  }
}

/// The tiles of a range; multiply(sums, rows, weights, C) adds one tap and returns the next weights.
template <int V, typename Range, typename Multiply>
SRPO_INLINE void run_tiles(const Range& r, const Multiply& multiply) {
  Walk<Range> walk(r, r.begin);
  TilePlaces places;
  for (int64_t at = r.begin; at < r.end; at += kRows) {
    const int count = static_cast<int>(r.end - at < kRows ? r.end - at : kRows);
    place_tile(places, walk, count);
    f32x16 sums[kRows][V];
#pragma GCC unroll 14
    for (int m = 0; m < kRows; ++m)
#pragma GCC unroll 2
      for (int v = 0; v < V; ++v) sums[m][v] = f32x16{};
    auto weights = r.weights;
    for (int64_t tap = 0; tap < r.taps; ++tap) {
      decltype(r.x) rows[kLanes];
      tap_pointers(rows, places, r, tap);
      weights = multiply(sums, rows, weights, r.C);
    }
    store_tile(sums, places, r, count);
  }
}

}  // namespace
