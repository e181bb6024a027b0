#pragma once
#include <cstdint>
#include <numeric>
#include <vector>

#include "cpp/ops/conv/conv2d.h"

namespace srpo {

/// One direction (rows or columns) of a convolution as the tiles see it: output o = phases * i + phase
/// takes the input in_step * i + offset for each tap, whose weight is the sum of some kernel places.
///
/// Upsampling is folded in: of the places that meet the same small pixel the weights are summed once,
/// so that 3 x 3 on a doubled picture costs 2 x 2 on each of four phases.
struct ConvAxis {
  struct Tap {
    int64_t offset;
    std::vector<int64_t> places;  // in the kernel; one, or two on a doubled picture
  };
  struct Phase {
    int64_t count;  // of i
    std::vector<Tap> taps;

    void add_place(int64_t offset, int64_t place) {
      for (Tap& tap : taps)
        if (tap.offset == offset) {
          tap.places.push_back(place);
          return;
        }
      taps.push_back({offset, {place}});
    }
  };
  int64_t in_step;
  std::vector<Phase> phases;

  /// `length` outputs dealt to `count` phases, still without taps.
  ConvAxis(int64_t length, int64_t count, int64_t in_step) : in_step(in_step) {
    for (int64_t a = 0; a < count; ++a)
      phases.push_back({a < length ? (length - a + count - 1) / count : 0, {}});
  }
};

/// y of length `out` from x: output o, place r meets x at (o * stride + r - before) / (2 if upsampled).
inline ConvAxis forward_axis(int64_t out, int64_t kernel, int64_t stride, int64_t before,
                             bool upsample) {
  const int64_t count = upsample ? 2 : 1;
  ConvAxis axis(out, count, stride);
  for (int64_t a = 0; a < count; ++a)
    for (int64_t r = 0; r < kernel; ++r) {
      const int64_t place = a * stride + r - before;
      axis.phases[a].add_place(upsample ? place >> 1 : place, r);
    }
  return axis;
}

/// dx of length `in` from dy: the same pairs (o, x), told from x.
inline ConvAxis gradient_axis(int64_t in, int64_t kernel, int64_t stride, int64_t before,
                              bool upsample) {
  const int64_t copies = upsample ? 2 : 1;
  const int64_t count = stride / std::gcd(copies, stride);
  ConvAxis axis(in, count, copies * count / stride);
  for (int64_t a = 0; a < count; ++a)
    for (int64_t copy = 0; copy < copies; ++copy)
      for (int64_t r = 0; r < kernel; ++r) {
        const int64_t reach = copies * a + copy + before - r;  // stride * o, for i = 0
        if (reach % stride == 0) axis.phases[a].add_place(reach / stride, r);
      }
  return axis;
}

/// Whether each pixel of y comes from one of x, in order: a plain product of [pixels, C] with w.
inline bool is_product(const TensorView& x, const TensorView& w, const TensorView& y,
                       const Conv2dGeometry& g) {
  return w.dim(1) == 1 && w.dim(2) == 1 && g.stride == 1 && !g.upsample && g.top == 0 &&
         g.left == 0 && x.dim(1) == y.dim(1) && x.dim(2) == y.dim(2);
}

}  // namespace srpo
