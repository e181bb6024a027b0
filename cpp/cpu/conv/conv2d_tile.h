// The tiles of a convolution, for whatever target the including file has set: some pixels by some
// vectors of channels of y in registers, over all taps and input channels. The weights are packed, the
// picture is not: a pointer a pixel and tap finds its row, wherever stride, padding or upsampling put it.
#pragma once
#include "cpp/cpu/conv/conv2d_kernels.h"
#include "cpp/cpu/vector.h"

namespace {

using srpo::cpu::ConvRange;

// Of the including file, since a target's registers set it: SRPO_CONV_VECTORS, the most vectors of
// channels in a tile, and SRPO_CONV_SUMS, the sums a tile has at most. (The target's predefined macros
// say nothing: a compiler cache that preprocesses first does not see the pragma.)
constexpr int kVectors = SRPO_CONV_VECTORS;
constexpr int kColumns = 16 * kVectors;
/// Pixels of a tile of V vectors. Few vectors need many pixels to use what they load.
template <int V>
constexpr int kRows = SRPO_CONV_SUMS / V < 12 ? SRPO_CONV_SUMS / V : 12;
constexpr int kMostRows = kRows<1>;
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
  /// Over outputs of one row.
  SRPO_INLINE void skip(int64_t count) {
    j += count - 1;
    next();
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

template <int V, typename Range>
SRPO_INLINE void place_tile(TilePlaces& places, Walk<Range>& walk, int count) {
  walk.place(places, 0);
  const Range& r = walk.r;
  if (count == kRows<V> && walk.j + count < r.grid_columns) {  // all in one row
    const int64_t in_step = r.in_step_x * r.C, out_step = r.out_step_x * r.N;
    const auto step = static_cast<int32_t>(r.in_step_x);
    for (int m = 1; m < kLanes; ++m) {
      places.origin[m] = places.origin[0] + m * in_step;
      places.y[m] = places.y[0];
      places.x[m] = places.x[0] + m * step;
      places.out[m] = places.out[0] + m * out_step;
    }
    places.lowest_y = places.highest_y = places.y[0];
    places.lowest_x = places.x[0];
    places.highest_x = places.x[0] + (count - 1) * step;
    walk.j += count;
    return;
  }
  walk.next();
  for (int m = 1; m < count; ++m) {
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

template <int V>
struct TileSums {
  alignas(64) float values[kRows<V>][16 * V];
};

template <int V, typename Range>
SRPO_INLINE void store_tile(const TileSums<V>& sums, const TilePlaces& places, const Range& r,
                            int count) {
  for (int m = 0; m < count; ++m)
    for_each_16(r.channels, [&](int64_t n, int64_t some) {
      f32x16 y = load(sums.values[m] + n) + load(r.bias + n);
      if (r.residual) y += load_at(r.residual + places.out[m], n, some);
      store_at(r.y + places.out[m], n, y, some);
    });
}

constexpr int kTapsAtOnce = 32;

// A tile of one vector of channels is too few sums to hide the latency of an instruction and too little
// work to pay for its pointers. Where sixteen neighbouring pixels lie in one row, they are a line: a tap
// of it is sixteen times C values in a run, so that one pointer a tap finds them all. For targets whose
// registers hold sixteen such sums.
constexpr bool kLines = kVectors > 1;
constexpr int kLinePixels = 16;

constexpr int64_t kMostLineTaps = 16;
constexpr int64_t kMostLineChannels = 64;

struct LineSums {
  alignas(64) float values[kLinePixels][16];
};

/// The pixels of a line under one tap: where they lie, or copied to `copy` [kLinePixels, C] with zeros
/// for those outside the picture.
template <typename In, typename Range>
SRPO_INLINE const In* line_of_tap(In* copy, const Range& r, int64_t b, int64_t y, int64_t x) {
  const int64_t C = r.C;
  const bool row_inside = y >= 0 && y < r.H;
  if (row_inside && x >= 0 && x + kLinePixels <= r.W) return r.x + ((b * r.H + y) * r.W + x) * C;
  const int64_t first = x < 0 ? -x : 0;  // of the sixteen
  const int64_t last = x + kLinePixels > r.W ? r.W - x : kLinePixels;
  std::memset(copy, 0, static_cast<size_t>(kLinePixels * C) * sizeof(In));
  if (row_inside && first < last)
    std::memcpy(copy + first * C, r.x + ((b * r.H + y) * r.W + x + first) * C,
                static_cast<size_t>((last - first) * C) * sizeof(In));
  return copy;
}

/// `multiply` sums taps of a line over C channels, from a pointer a tap.
template <typename In, typename Range>
SRPO_INLINE void run_line(const Range& r, const Walk<Range>& walk, In* copies,
                          void (*multiply)(LineSums&, const In* const*, const In*, int64_t,
                                           int64_t)) {
  const In* lines[kMostLineTaps];
  for (int64_t tap = 0; tap < r.taps; ++tap)
    lines[tap] = line_of_tap(copies + tap * kLinePixels * r.C, r, walk.b,
                             walk.i * r.in_step_y + r.tap_y[tap], walk.j + r.tap_x[tap]);
  LineSums sums;
  multiply(sums, lines, r.weights, r.taps, r.C);
  const int64_t row = r.out_y + walk.i * r.out_step_y, step = r.out_step_x * r.N;
  int64_t at =
      ((walk.b * r.Ho + row) * r.Wo + r.out_x + walk.j * r.out_step_x) * r.N + r.first_channel;
  const f32x16 bias = load(r.bias);
  for (int m = 0; m < kLinePixels; ++m, at += step) {
    f32x16 y = load(sums.values[m]) + bias;
    if (r.residual) y += load_at(r.residual + at, 0, r.channels);
    store_at(r.y + at, 0, y, r.channels);
  }
}

/// The tiles of a range. `multiply` is a function that is not inlined, so that its sums get all the
/// registers there are; it adds taps to a tile's sums, from kLanes pointers a tap.
template <int V, typename In, typename Range>
SRPO_INLINE void run_tiles(
    const Range& r, void (*multiply)(TileSums<V>&, const In* const*, const In*, int64_t, int64_t),
    void (*multiply_line)(LineSums&, const In* const*, const In*, int64_t, int64_t)) {
  Walk<Range> walk(r, r.begin);
  TilePlaces places;
  TileSums<V> sums;
  const In* rows[kTapsAtOnce * kLanes];
  constexpr bool kInLines = kLines && V == 1;
  const bool lines =
      kInLines && r.in_step_x == 1 && r.taps <= kMostLineTaps && r.C <= kMostLineChannels;
  alignas(64) In copies[kInLines ? kMostLineTaps * kLinePixels * kMostLineChannels : 1];
  for (int64_t at = r.begin; at < r.end;) {
    if constexpr (kInLines)
      if (lines && walk.j + kLinePixels <= r.grid_columns && at + kLinePixels <= r.end) {
        run_line(r, walk, copies, multiply_line);
        walk.skip(kLinePixels);
        at += kLinePixels;
        continue;
      }
    const int64_t rest =
        lines && r.grid_columns - walk.j < r.end - at ? r.grid_columns - walk.j : r.end - at;
    const int count = static_cast<int>(rest < kRows<V> ? rest : kRows<V>);
    place_tile<V>(places, walk, count);
    std::memset(&sums, 0, sizeof sums);
    for (int64_t first = 0; first < r.taps; first += kTapsAtOnce) {
      const int64_t taps = r.taps - first < kTapsAtOnce ? r.taps - first : kTapsAtOnce;
      for (int64_t tap = 0; tap < taps; ++tap)
        tap_pointers(rows + tap * kLanes, places, r, first + tap);
      multiply(sums, rows, r.weights + first * r.C * 16 * V, taps, r.C);
    }
    store_tile(sums, places, r, count);
    at += count;
  }
}

}  // namespace
