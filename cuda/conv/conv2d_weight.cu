// The weight gradient of a convolution: for each tap a product of dy [pixels, N], transposed, with the
// pixels of x [., C] that the tap meets, summed over all pixels. The pixels are cut into parts of whole
// rows of y, so that few channels too keep all multiprocessors busy; parts are added up in order.

#include "cuda/common/barrier.cuh"
#include "cuda/common/launch.cuh"
#include "cuda/conv/conv2d_product.h"
#include "cuda/elementwise/map.cuh"
#include "cuda/gemm/tile.cuh"

namespace srpo::cuda {
namespace {

struct WeightGradient {
  int64_t H, W, C, Ho, Wo, N;
  int64_t kh, kw;
  int64_t rows;          // B * Ho
  int64_t rows_of_part;  // of them
  Conv2dGeometry geometry;
};

/// parts [parts, N, kh * kw, C]
template <typename T>
__global__ void __launch_bounds__(kThreads)
    conv2d_weight_parts_kernel(float* parts, const T* dy, const T* x, const WeightGradient g) {
  wait_for_earlier_kernel();
  auto& panels = shared_memory<Panels>();
  const int64_t taps = g.kh * g.kw, tap = blockIdx.x % taps;
  const int64_t first_c = int64_t{blockIdx.x} / taps * kTile;
  const int64_t first_n = int64_t{blockIdx.y} * kTile;
  const int64_t begin = int64_t{blockIdx.z} * g.rows_of_part;
  const int64_t end = begin + g.rows_of_part < g.rows ? begin + g.rows_of_part : g.rows;
  const int doubled = g.geometry.upsample ? 1 : 0;
  const int64_t stride = g.geometry.stride;
  const int64_t tap_y = tap / g.kw - g.geometry.top, tap_x = tap % g.kw - g.geometry.left;
  // Neighbouring threads load neighbouring channels of some pixels.
  const int place = static_cast<int>(threadIdx.x) % kTile;
  const int line = static_cast<int>(threadIdx.x) / kTile;
  const int64_t n = first_n + place, c = first_c + place;

  float sums[kEach][kEach] = {};
  int64_t picture = begin / g.Ho, i = begin % g.Ho;
  for (int64_t row = begin; row < end; ++row) {
    const int64_t y = i * stride + tap_y, height = g.H << doubled;
    const T* const x_row = x + (picture * g.H + (y >> doubled)) * g.W * g.C + c;
    const T* const dy_row = dy + row * g.Wo * g.N + n;
    if (++i == g.Ho) {
      i = 0;
      ++picture;
    }
    if (y < 0 || y >= height) continue;  // for all threads: nothing but zeros
    for (int64_t first = 0; first < g.Wo; first += kPanel) {
      for (int k = line; k < kPanel; k += kThreads / kTile) {
        const int64_t j = first + k, column = j * stride + tap_x;
        const bool inside = j < g.Wo && column >= 0 && column < g.W << doubled;
        panels.a[k][place] = j < g.Wo && n < g.N ? float(dy_row[j * g.N]) : 0.f;
        panels.b[k][place] = inside && c < g.C ? float(x_row[(column >> doubled) * g.C]) : 0.f;
      }
      block_barrier();
      multiply_panels(sums, panels);
      block_barrier();  // the next panel is written where this one is read
    }
  }
  for_each_sum(sums, panels, [&](int i, int j, float sum) {
    const int64_t to_n = first_n + i, to_c = first_c + j;
    if (to_n < g.N && to_c < g.C)
      parts[((blockIdx.z * g.N + to_n) * taps + tap) * g.C + to_c] = sum;
  });
}

__global__ void conv2d_weight_add_kernel(float* dw, const float* parts, int64_t count, int64_t n) {
  wait_for_earlier_kernel();
  map<1>(n, false, [=]<int>(int64_t i) {
    float sum = 0.f;
    for (int64_t part = 0; part < count; ++part) sum += parts[part * n + i];
    dw[i] += sum;
  });
}

}  // namespace

void add_weight_parts(float* dw, const float* parts, int64_t count, int64_t size, Stream& stream) {
  launch(conv2d_weight_add_kernel, map_config<1>(size, stream), dw, parts, count, size);
}

void conv2d_weight_gradient(const Conv2dBackward& op, Stream& stream) {
  if (conv2d_weight_sm90_takes(op)) return conv2d_weight_sm90(op, stream);
  constexpr int64_t kBlocks = 528;       // four for each multiprocessor
  constexpr int64_t kLeastPixels = 512;  // of a part
  const auto [B, H, W, C] = op.x.sizes<4>();
  WeightGradient g{.H = H,
                   .W = W,
                   .C = C,
                   .Ho = op.dy.dim(1),
                   .Wo = op.dy.dim(2),
                   .N = op.dy.dim(3),
                   .kh = op.w.dim(1),
                   .kw = op.w.dim(2),
                   .rows = op.dy.dim(0) * op.dy.dim(1),
                   .rows_of_part = 0,
                   .geometry = op.geometry};
  const int64_t across = ceil_div(g.C, kTile) * g.kh * g.kw, down = ceil_div(g.N, kTile);
  g.rows_of_part = ceil_div(g.rows, ceil_div(kBlocks, across * down));
  if (g.rows_of_part * g.Wo < kLeastPixels) g.rows_of_part = ceil_div(kLeastPixels, g.Wo);
  const int64_t count = ceil_div(g.rows, g.rows_of_part), size = op.dw.numel();
  visit_float(op.x.dtype, [&]<typename T>() {
    float* const parts = scratch<float>(stream, count * size);
    launch(conv2d_weight_parts_kernel<T>,
           {.grid = {across, down, count},
            .block = kThreads,
            .shared = sizeof(Panels),
            .stream = stream},
           parts, op.dy.data<T>(), op.x.data<T>(), g);
    add_weight_parts(op.dw.data<float>(), parts, count, size, stream);
  });
}

}  // namespace srpo::cuda
