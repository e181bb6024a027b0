// Resize, crop or pad, and normalise: two sparse matrices and one affine map per channel.
//
//   t[b, i, q, c] = sum over p of R[i, p] * image[b, p, q, c]        whole rows at a time, float
//   y[b, i, j, c] = (sum over q of Q[j, q] * t[b, i, q, c] - mean[c]) / std[c]
//
// Backward is the two passes with R and Q transposed, in the other order, so that each value is a sum
// of its own and nothing is scattered. Either way the long pass runs over whole rows.

#include "cpp/ops/resample/resize_crop_normalize.h"

#include <algorithm>
#include <memory>
#include <vector>

#include "cpp/cpu/parallel.h"
#include "cpp/cpu/visit.h"

namespace srpo::cpu {
namespace {

float to_float(float value) {
  return value;
}
float to_float(uint16_t bits) {
  return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16);
}

/// Calls finish(row, float sums [Q's outputs, C]) for each row of x [rows, W, C] times Q; C is 3 or
/// told at run time.
template <int kC, typename T, typename Finish>
void along_columns_of(const T* x, int64_t rows, int64_t W, int64_t given_C, const Taps& taps,
                      const Finish& finish) {
  const int64_t C = kC > 0 ? kC : given_C, width = taps.outputs();
  parallel_ranges(rows, rows_of_range(W * C), [&](int64_t begin, int64_t end) {
    std::vector<float> sums(width * C);
    for (int64_t row = begin; row < end; ++row) {
      std::fill(sums.begin(), sums.end(), 0.f);
      for (int64_t j = 0; j < width; ++j) {
        float* to = sums.data() + j * C;
        for (int32_t k = taps.start[j]; k < taps.start[j + 1]; ++k) {
          const T* from = x + (row * W + taps.index[k]) * C;
          for (int64_t c = 0; c < C; ++c) to[c] += taps.weights[k] * to_float(from[c]);
        }
      }
      finish(row, sums.data());
    }
  });
}
template <typename T, typename Finish>
void along_columns(const T* x, int64_t rows, int64_t W, int64_t C, const Taps& taps,
                   const Finish& finish) {
  if (C == 3)
    along_columns_of<3>(x, rows, W, C, taps, finish);
  else
    along_columns_of<0>(x, rows, W, C, taps, finish);
}

/// Calls finish(row, float sums [run]) for each row of R times x [B, H, run].
template <typename T, typename Finish>
void along_rows(const T* x, int64_t B, int64_t H, int64_t run, const Taps& taps,
                const Finish& finish) {
  const int64_t height = taps.outputs();
  parallel_ranges(B * height, rows_of_range(run), [&](int64_t begin, int64_t end) {
    std::vector<float> sums(run);
    for (int64_t row = begin; row < end; ++row) {
      const int64_t b = row / height, i = row % height;
      std::fill(sums.begin(), sums.end(), 0.f);
      for (int32_t k = taps.start[i]; k < taps.start[i + 1]; ++k) {
        const T* from = x + (b * H + taps.index[k]) * run;
        const float weight = taps.weights[k];
        for (int64_t at = 0; at < run; ++at) sums[at] += weight * to_float(from[at]);
      }
      finish(row, sums.data());
    }
  });
}

template <typename T>
void forward(const ResizeCropNormalizeForward& op) {
  const auto [B, H, W, C] = op.image.sizes<4>();
  const int64_t size = op.y.dim(1), run = W * C;
  const std::unique_ptr<float[]> t(new float[static_cast<size_t>(B * size * run)]);
  along_rows(op.image.data<T>(), B, H, run, op.plan.rows, [&](int64_t row, const float* sums) {
    std::copy(sums, sums + run, t.get() + row * run);
  });
  along_columns(t.get(), B * size, W, C, op.plan.columns, [&, C = C](int64_t row, float* sums) {
    if constexpr (sizeof(T) == 2)
      if (op.plan.resized)
        for (int64_t at = 0; at < size * C; ++at) sums[at] = float(bfloat16(sums[at]));
    for (int64_t j = 0; j < size; ++j)
      for (int64_t c = 0; c < C; ++c) sums[j * C + c] = (sums[j * C + c] - op.mean[c]) / op.std[c];
    write(op.y.data<T>() + row * size * C, sums, size * C);
  });
}

template <typename T>
void backward(const ResizeCropNormalizeBackward& op) {
  const auto [B, H, W, C] = op.dimage.sizes<4>();
  const int64_t size = op.dy.dim(1), run = W * C;
  const std::unique_ptr<float[]> t(new float[static_cast<size_t>(B * size * run)]);
  const auto divide = [&, W = W, C = C](int64_t row, const float* sums) {
    for (int64_t q = 0; q < W; ++q)
      for (int64_t c = 0; c < C; ++c) t[row * run + q * C + c] = sums[q * C + c] / op.std[c];
  };
  along_columns(op.dy.data<T>(), B * size, size, C, op.plan.columns, divide);
  along_rows(t.get(), B, size, run, op.plan.rows, [&](int64_t row, const float* sums) {
    write(op.dimage.data<T>() + row * run, sums, run);
  });
}

}  // namespace

void resize_crop_normalize_forward(const ResizeCropNormalizeForward& op, Stream&) {
  visit_bits(op.image.dtype, [&]<typename T>() { forward<T>(op); });
}

void resize_crop_normalize_backward(const ResizeCropNormalizeBackward& op, Stream&) {
  visit_bits(op.dimage.dtype, [&]<typename T>() { backward<T>(op); });
}

}  // namespace srpo::cpu
