// What the weight gradients of all targets share: the walk over a tap's pixels, and the end.
#pragma once
#include "cpp/cpu/conv/conv2d_kernels.h"
#include "cpp/cpu/vector.h"

namespace {

using srpo::cpu::ConvWeightRange;
using srpo::cpu::kConvWeightChannels;
using srpo::cpu::kConvWeightPixels;

/// The outputs [begin, end) along one direction whose tap falls inside [0, size).
struct WeightSpan {
  int64_t begin, end;
};
SRPO_INLINE WeightSpan span_of(int64_t outputs, int64_t size, int64_t stride, int64_t shift,
                               bool upsample) {
  const int64_t room =
      (upsample ? 2 * size : size) - shift;  // inside: 0 <= i * stride + shift < size
  const int64_t begin = shift >= 0 ? 0 : (-shift + stride - 1) / stride;
  const int64_t end = room <= 0 ? 0 : (room + stride - 1) / stride;
  return {begin, end < outputs ? end : outputs};
}

/// Calls f(row of dy at the range's channels, row of x) for each output whose tap falls inside, in order.
template <typename T, typename F>
SRPO_INLINE void for_each_weight_pixel(const ConvWeightRange<T>& r, const F& f) {
  const WeightSpan rows = span_of(r.Ho, r.H, r.stride, r.shift_y, r.upsample);
  const WeightSpan columns = span_of(r.Wo, r.W, r.stride, r.shift_x, r.upsample);
  const int halving = r.upsample ? 1 : 0;
  for (int64_t b = 0; b < r.B; ++b)
    for (int64_t i = rows.begin; i < rows.end; ++i) {
      const T* dy = r.dy + (b * r.Ho + i) * r.Wo * r.N + r.first_channel;
      const T* x = r.x + (b * r.H + ((i * r.stride + r.shift_y) >> halving)) * r.W * r.C;
      for (int64_t j = columns.begin; j < columns.end; ++j)
        f(dy + j * r.N, x + ((j * r.stride + r.shift_x) >> halving) * r.C);
    }
}

/// dw += total [channels, pitch]
template <typename T>
void add_weights(const ConvWeightRange<T>& r, const float* total, int64_t pitch) {
  for (int64_t m = 0; m < r.channels; ++m) {
    float* to = r.dw + (r.first_channel + m) * r.taps * r.C;
    for (int64_t c = 0; c < r.C; ++c) to[c] += total[m * pitch + c];
  }
}

}  // namespace
