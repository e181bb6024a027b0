// The products that a convolution is made of: forward, and the gradient of x, by phases (ops/conv/
// conv2d_plan.h), and the gradient of w.
#pragma once
#include <cstdint>

#include "cpp/core/dtype.h"
#include "cpp/core/stream.h"
#include "cpp/ops/conv/conv2d.h"

namespace srpo::cuda {

/// Pixel (i, j) of picture b of a phase.
struct ConvPixel {
  int64_t b, i, j;
};

/// What a phase meets along one axis: offsets first .. first + count - 1 of x, each with the places
/// slope * offset + start + e of the kernel, e < copies, as far as they are among its `kernel` places.
struct ConvTaps {
  int64_t first = 0, count = 0;
  int64_t slope = 1, start = 0, copies = 1, kernel = 0;
};

/// Where the parts of y's statistics go, if they are asked for: of each box of pixels, for runs of 4 or 8
/// channels, mean and squared deviation.
struct ConvStatistics {
  float* parts = nullptr;   // [B * parts_of_picture, N / run, 2]
  float* pixels = nullptr;  // [B * parts_of_picture], of each part
  int64_t parts_of_picture = 0, first_part = 0;
  int run = 0;
};

/// One phase, pixels (i, j) of [rows, columns] in each of B pictures:
///   y[b, out_step * i + out_y, out_step * j + out_x, n]
///     = bias[n] + residual[the same place]
///     + sum over taps t, c of w[n, t, c] * x[b, in_step * i + tap_y(t), in_step * j + tap_x(t), c]
/// where x is zero outside of its picture. All in device memory.
struct ConvPhase {
  void* y = nullptr;               // [B, Ho, Wo, N]    T
  const void* x = nullptr;         // [B, H, W, C]      T
  const void* w = nullptr;         // [N, taps, C]      T
  const void* bias = nullptr;      // [N]               T  optional
  const void* residual = nullptr;  // [B, Ho, Wo, N]    T  optional
  int64_t B = 0, H = 0, W = 0, C = 0, Ho = 0, Wo = 0, N = 0;
  ConvTaps down = {}, across = {};
  int64_t rows = 0, columns = 0;
  int64_t in_step = 1, out_step = 1, out_y = 0, out_x = 0;
  ConvStatistics statistics = {};  // on Hopper's tensor cores only

  SRPO_HOST_DEVICE int64_t taps() const { return down.count * across.count; }
  SRPO_HOST_DEVICE int64_t tap_y(int64_t t) const { return down.first + t / across.count; }
  SRPO_HOST_DEVICE int64_t tap_x(int64_t t) const { return across.first + t % across.count; }
  SRPO_HOST_DEVICE int64_t pixels() const { return B * rows * columns; }
  SRPO_HOST_DEVICE ConvPixel pixel(int64_t m) const {
    return {m / (rows * columns), m / columns % rows, m % columns};
  }
  /// Where its channels lie in y and residual, in pixels.
  SRPO_HOST_DEVICE int64_t place(const ConvPixel& at) const {
    return (at.b * Ho + at.i * out_step + out_y) * Wo + at.j * out_step + out_x;
  }
};

/// T is `dtype`. Sums run in float, tap by tap and channel by channel.
void conv2d_product(const ConvPhase& phase, DType dtype, Stream& stream);
/// Parts of a picture that conv2d_product would take statistics of; 0 where it takes none.
int64_t conv2d_parts(const ConvPhase& phase, DType dtype, Stream& stream);

/// The same on Hopper's tensor cores, for bfloat16 channels of x in whole aligned packs of 16 bytes; phases
/// that meet every pixel of x, or every other one. The order of the sums is another.
bool conv2d_sm90_takes(const ConvPhase& phase, DType dtype);
void conv2d_sm90(const ConvPhase& phase, Stream& stream);
/// Boxes of a picture, if conv2d_sm90 stores whole ones and so can take statistics; else 0.
int64_t conv2d_sm90_parts(const ConvPhase& phase, Stream& stream);

/// dw[n, r, s, c] += sum over pixels of dy[., n] * x[where tap (r, s) meets it, c]
void conv2d_weight_gradient(const Conv2dBackward& op, Stream& stream);

/// The same on Hopper's tensor cores, for bfloat16 that it takes: strides 1 and 2.
bool conv2d_weight_sm90_takes(const Conv2dBackward& op);
void conv2d_weight_sm90(const Conv2dBackward& op, Stream& stream);

/// dw [size] += parts [count, size], in order.
void add_weight_parts(float* dw, const float* parts, int64_t count, int64_t size, Stream& stream);

}  // namespace srpo::cuda
