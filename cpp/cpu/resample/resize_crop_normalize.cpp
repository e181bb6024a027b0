// Resize, crop or pad, and normalise: two sparse matrices and one affine map per channel.
//
//   t[b, p, j, c] = sum over q of Q[j, q] * image[b, p, q, c]        along columns, float
//   y[b, i, j, c] = (sum over p of R[i, p] * t[b, p, j, c] - mean[c]) / std[c]
//
// Backward is the same two passes with R and Q transposed, so that each value is a sum of its own and
// nothing is scattered. Rows of t are runs of size * C values, which the second pass takes whole.

#include "cpp/ops/resample/resize_crop_normalize.h"

#include <memory>

#include "cpp/cpu/op_table.h"
#include "cpp/cpu/parallel.h"

namespace srpo::cpu {
namespace {

float to_float(float value) {
  return value;
}
float to_float(uint16_t bits) {
  return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16);
}

/// t [B * H, columns of Q, C] from x [B * H, W, C], each channel times `factor`.
template <typename T>
std::unique_ptr<float[]> along_columns(const T* x, int64_t rows, int64_t W, int64_t C,
                                       const Taps& taps, const float* factor) {
  const int64_t width = taps.outputs();
  std::unique_ptr<float[]> t(new float[static_cast<size_t>(rows * width * C)]);
  parallel_ranges(rows, rows_of_range(width * C), [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row)
      for (int64_t j = 0; j < width; ++j) {
        float* to = t.get() + (row * width + j) * C;
        for (int64_t c = 0; c < C; ++c) to[c] = 0.f;
        for (int32_t k = taps.start[j]; k < taps.start[j + 1]; ++k) {
          const T* from = x + (row * W + taps.index[k]) * C;
          for (int64_t c = 0; c < C; ++c) to[c] += taps.weights[k] * to_float(from[c]);
        }
        for (int64_t c = 0; c < C; ++c) to[c] *= factor[c];
      }
  });
  return t;
}

/// Calls finish(output row, float sums [run]) for each row of R times t [B, H, run].
template <typename Finish>
void along_rows(const float* t, int64_t B, int64_t H, int64_t run, const Taps& taps,
                const Finish& finish) {
  const int64_t height = taps.outputs();
  parallel_ranges(B * height, rows_of_range(run), [&](int64_t begin, int64_t end) {
    std::vector<float> sums(run);
    for (int64_t row = begin; row < end; ++row) {
      const int64_t b = row / height, i = row % height;
      std::fill(sums.begin(), sums.end(), 0.f);
      for (int32_t k = taps.start[i]; k < taps.start[i + 1]; ++k) {
        const float* from = t + (b * H + taps.index[k]) * run;
        for (int64_t at = 0; at < run; ++at) sums[at] += taps.weights[k] * from[at];
      }
      finish(row, sums.data());
    }
  });
}

template <typename T>
void forward(const ResizeCropNormalizeForward& op) {
  const auto [B, H, W, C] = op.image.sizes<4>();
  const int64_t size = op.y.dim(1), run = size * C;
  const std::vector<float> ones(C, 1.f);
  const auto t = along_columns(op.image.data<T>(), B * H, W, C, op.plan.columns, ones.data());
  along_rows(t.get(), B, H, run, op.plan.rows, [&, C = C](int64_t row, float* sums) {
    if constexpr (sizeof(T) == 2)
      if (op.plan.resized)
        for (int64_t at = 0; at < run; ++at) sums[at] = float(bfloat16(sums[at]));
    for (int64_t at = 0; at < run; ++at) sums[at] = (sums[at] - op.mean[at % C]) / op.std[at % C];
    write(op.y.data<T>() + row * run, sums, run);
  });
}

template <typename T>
void backward(const ResizeCropNormalizeBackward& op) {
  const auto [B, H, W, C] = op.dimage.sizes<4>();
  const int64_t size = op.dy.dim(1), run = W * C;
  std::vector<float> inverse;
  for (const float s : op.std) inverse.push_back(1.f / s);
  const auto t = along_columns(op.dy.data<T>(), B * size, size, C, op.plan.columns, inverse.data());
  along_rows(t.get(), B, size, run, op.plan.rows,
             [&](int64_t row, float* sums) { write(op.dimage.data<T>() + row * run, sums, run); });
}

}  // namespace

void resize_crop_normalize_forward(const ResizeCropNormalizeForward& op, Stream&) {
  visit_bits(op.image.dtype, [&]<typename T>() { forward<T>(op); });
}

void resize_crop_normalize_backward(const ResizeCropNormalizeBackward& op, Stream&) {
  visit_bits(op.dimage.dtype, [&]<typename T>() { backward<T>(op); });
}

}  // namespace srpo::cpu
