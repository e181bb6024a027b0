// Convolution as a product without its matrix: rows are pixels, columns output channels, and along K go
// the taps and in each tap the channels. The tile of gemm/tile.cuh reads its pixels where they lie.

#include "cuda/common/barrier.cuh"
#include "cuda/common/launch.cuh"
#include "cuda/conv/conv2d_product.h"
#include "cuda/gemm/tile.cuh"

namespace srpo::cuda {
namespace {

constexpr int kLines = kThreads / kPanel;  // rows of a panel that the threads load at once
constexpr int64_t kOutside = int64_t{1} << 40;

template <typename T>
__global__ void __launch_bounds__(kThreads) conv2d_product_kernel(const ConvPhase p) {
  wait_for_earlier_kernel();
  auto& panels = shared_memory<Panels>();
  const int64_t first_pixel = int64_t{blockIdx.x} * kTile;
  const int64_t first_channel = int64_t{blockIdx.y} * kTile;
  // Neighbouring threads load neighbouring channels of some pixels and of some rows of w.
  const int place = static_cast<int>(threadIdx.x) % kPanel;
  const int line = static_cast<int>(threadIdx.x) / kPanel;
  const T *x = static_cast<const T*>(p.x), *w = static_cast<const T*>(p.w);

  // Where tap offset (0, 0) meets x; no tap brings a row past the last pixel inside.
  const T* corner[kEach];
  int64_t corner_y[kEach], corner_x[kEach];
  for (int e = 0; e < kEach; ++e) {
    const int64_t m = first_pixel + line + e * kLines;
    const ConvPixel at = p.pixel(m);
    corner_y[e] = m < p.pixels() ? at.i * p.in_step : kOutside;
    corner_x[e] = at.j * p.in_step;
    corner[e] = x + ((at.b * p.H + at.i * p.in_step) * p.W + corner_x[e]) * p.C;
  }

  float sums[kEach][kEach] = {};
  for (int64_t t = 0; t < p.taps(); ++t) {
    const int64_t tap_y = p.tap_y(t), tap_x = p.tap_x(t), tap = (tap_y * p.W + tap_x) * p.C;
    bool inside[kEach];
    for (int e = 0; e < kEach; ++e) {
      const int64_t row = corner_y[e] + tap_y, column = corner_x[e] + tap_x;
      inside[e] = row >= 0 && row < p.H && column >= 0 && column < p.W;
    }
    for (int64_t c = place; c < p.C + place; c += kPanel) {
      for (int e = 0; e < kEach; ++e) {
        const int64_t n = first_channel + line + e * kLines;
        panels.a[place][line + e * kLines] = inside[e] && c < p.C ? float(corner[e][tap + c]) : 0.f;
        panels.b[place][line + e * kLines] =
            n < p.N && c < p.C ? float(w[(n * p.taps() + t) * p.C + c]) : 0.f;
      }
      block_barrier();
      multiply_panels(sums, panels);
      block_barrier();  // the next panel is written where this one is read
    }
  }

  const T *bias = static_cast<const T*>(p.bias), *residual = static_cast<const T*>(p.residual);
  for_each_sum(sums, panels, [&](int i, int j, float sum) {
    const int64_t m = first_pixel + i, n = first_channel + j;
    if (m >= p.pixels() || n >= p.N) return;
    const int64_t at = p.place(p.pixel(m)) * p.N + n;
    if (bias != nullptr) sum += float(bias[n]);
    if (residual != nullptr) sum += float(residual[at]);
    static_cast<T*>(p.y)[at] = T(sum);
  });
}

}  // namespace

int64_t conv2d_parts(const ConvPhase& phase, DType dtype, Stream& stream) {
  return conv2d_sm90_takes(phase, dtype) ? conv2d_sm90_parts(phase, stream) : 0;
}

void conv2d_product(const ConvPhase& phase, DType dtype, Stream& stream) {
  if (conv2d_sm90_takes(phase, dtype)) return conv2d_sm90(phase, stream);

  visit_float(dtype, [&]<typename T>() {
    launch(conv2d_product_kernel<T>,
           {.grid = {ceil_div(phase.pixels(), kTile), ceil_div(phase.N, kTile)},
            .block = kThreads,
            .shared = sizeof(Panels),
            .stream = stream},
           phase);
  });
}

}  // namespace srpo::cuda
