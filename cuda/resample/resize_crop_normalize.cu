// Resize, crop or pad, and normalise: two sparse matrices and one affine map per channel.
//
//   t[b, i, q, c] = sum over p of R[i, p] * image[b, p, q, c]
//   y[b, i, j, c] = (sum over q of Q[j, q] * t[b, i, q, c] - mean[c]) / std[c]
//
// Backward is the two passes with R and Q transposed, in the other order: each value is a sum of its
// own, so that nothing is scattered. A thread a value, sums in float in the order of the taps.

#include "cpp/ops/resample/resize_crop_normalize.h"

#include "cuda/elementwise/map.cuh"

namespace srpo::cuda {
namespace {

/// Taps on the device.
struct DeviceTaps {
  const int32_t *start, *index;
  const float* weights;
  int64_t outputs;

  /// The sum over output i's taps of weight * x[index * step].
  template <typename T>
  SRPO_DEVICE float sum(int64_t i, const T* x, int64_t step) const {
    float total = 0.f;
    for (int32_t k = start[i]; k < start[i + 1]; ++k)
      total += weights[k] * float(x[index[k] * step]);
    return total;
  }
};

DeviceTaps on_device(const Taps& taps, Stream& stream) {
  return {.start = upload(stream, taps.start),
          .index = upload(stream, taps.index),
          .weights = upload(stream, taps.weights),
          .outputs = taps.outputs()};
}

/// y = R times x [B, H, run].
template <typename T, typename Y>
__global__ void resize_rows_kernel(Y* y, const T* x, DeviceTaps taps, int64_t H, int64_t run,
                                   int64_t n) {
  wait_for_earlier_kernel();
  map<1>(n, false, [=]<int>(int64_t at) {
    const int64_t row = at / run, b = row / taps.outputs;
    y[at] = Y(taps.sum(row % taps.outputs, x + b * H * run + at % run, run));
  });
}

/// y = (x [rows, W, C] times Q - mean) / std; mean may be null. `round` says through which dtype the sum
/// goes first.
template <typename T, typename Y>
__global__ void resize_columns_kernel(Y* y, const T* x, DeviceTaps taps, const float* mean,
                                      const float* std, int64_t W, int64_t C, int64_t n,
                                      bool round) {
  wait_for_earlier_kernel();
  map<1>(n, false, [=]<int>(int64_t at) {
    const int64_t c = at % C, j = at / C % taps.outputs, row = at / C / taps.outputs;
    float value = taps.sum(j, x + row * W * C + c, C);
    if (round) value = float(Y(value));
    y[at] = Y((mean == nullptr ? value : value - mean[c]) / std[c]);
  });
}

}  // namespace

void resize_crop_normalize_forward(const ResizeCropNormalizeForward& op, Stream& stream) {
  const auto [B, H, W, C] = op.image.sizes<4>();
  const int64_t run = W * C, between = B * op.y.dim(1) * run, n = op.y.numel();
  auto* t = scratch<float>(stream, between);
  visit_float(op.image.dtype, [&, H = H, W = W, C = C]<typename T>() {
    launch(resize_rows_kernel<T, float>, map_config<1>(between, stream), t, op.image.data<T>(),
           on_device(op.plan.rows, stream), H, run, between);
    launch(resize_columns_kernel<float, T>, map_config<1>(n, stream), op.y.data<T>(), t,
           on_device(op.plan.columns, stream), upload(stream, op.mean), upload(stream, op.std), W,
           C, n, op.plan.resized);
  });
}

void resize_crop_normalize_backward(const ResizeCropNormalizeBackward& op, Stream& stream) {
  const auto [B, H, W, C] = op.dimage.sizes<4>();
  const int64_t size = op.dy.dim(1), between = B * size * W * C, n = op.dimage.numel();
  auto* t = scratch<float>(stream, between);
  const float* none = nullptr;
  visit_float(op.dimage.dtype, [&, W = W, C = C]<typename T>() {
    launch(resize_columns_kernel<T, float>, map_config<1>(between, stream), t, op.dy.data<T>(),
           on_device(op.plan.columns, stream), none, upload(stream, op.std), size, C, between,
           false);
    launch(resize_rows_kernel<float, T>, map_config<1>(n, stream), op.dimage.data<T>(), t,
           on_device(op.plan.rows, stream), size, W * C, n);
  });
}

}  // namespace srpo::cuda
