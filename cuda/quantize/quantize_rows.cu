// Rows as 8-bit floats and a scale each, and back: one block a row.
//   x, y  [R, C]  T      codes  [R, C]  uint8      scales  [R]  float
// Reads a row twice to quantize, once a load of a model; 3 bytes an element to dequantize into bfloat16.

#include "cpp/ops/quantize/quantize_rows.h"

#include "cpp/ops/quantize/e4m3.h"
#include "cuda/common/block_reduce.cuh"
#include "cuda/common/dtype.cuh"
#include "cuda/common/launch.cuh"

namespace srpo::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kCodes = 8;  // of a thread's turn

template <typename T>
__global__ void quantize_rows_kernel(uint8_t* codes, float* scales, const T* x, int64_t C) {
  wait_for_earlier_kernel();
  const int64_t row = blockIdx.x;
  codes += row * C;
  x += row * C;
  float largest = 0.f, unsound = 0.f;
  for (int64_t c = threadIdx.x; c < C; c += kThreads) {
    const float magnitude = fabsf(float(x[c]));
    largest = fmaxf(largest, magnitude);  // which passes over NaN
    if (!(magnitude <= magnitude)) unsound = 1.f;
  }
  largest = block_max(largest);
  const float scale = block_max(unsound) > 0.f ? float_of_e4m3(0x7f) : e4m3_scale(largest);
  if (threadIdx.x == 0) scales[row] = scale;
  for (int64_t c = threadIdx.x; c < C; c += kThreads) codes[c] = e4m3_of(float(x[c]) / scale);
}

template <typename T>
__global__ void dequantize_rows_kernel(T* y, const uint8_t* codes, const float* scales, int64_t C,
                                       bool packed) {
  wait_for_earlier_kernel();
  const int64_t row = blockIdx.x;
  y += row * C;
  codes += row * C;
  const float scale = scales[row];
  if (packed) {
    for (int64_t c = int64_t{threadIdx.x} * kCodes; c < C; c += kThreads * kCodes) {
      const auto pack = *reinterpret_cast<const Pack<uint8_t, kCodes>*>(codes + c);
      for (int half = 0; half < kCodes; half += kPack<T>) {
        float values[kPack<T>];
        for (int i = 0; i < kPack<T>; ++i) values[i] = float_of_e4m3(pack.value[half + i]) * scale;
        store_pack(y + c + half, values);
      }
    }
    return;
  }
  for (int64_t c = threadIdx.x; c < C; c += kThreads) y[c] = T(float_of_e4m3(codes[c]) * scale);
}

}  // namespace

void quantize_rows(const QuantizeRows& op, Stream& stream) {
  const auto [R, C] = op.codes.sizes<2>();
  visit_float(op.x.dtype, [&, R = R, C = C]<typename T>() {
    launch(quantize_rows_kernel<T>, {.grid = R, .block = kThreads, .stream = stream},
           op.codes.data<uint8_t>(), op.scales.data<float>(), op.x.data<T>(), C);
  });
}

void dequantize_rows(const DequantizeRows& op, Stream& stream) {
  const auto [R, C] = op.codes.sizes<2>();
  visit_float(op.y.dtype, [&, R = R, C = C]<typename T>() {
    const auto* codes = op.codes.data<uint8_t>();
    const bool packed = packs<T>(op.y.data<T>(), C) && C % kCodes == 0 &&
                        reinterpret_cast<uintptr_t>(codes) % kCodes == 0;
    launch(dequantize_rows_kernel<T>, {.grid = R, .block = kThreads, .stream = stream},
           op.y.data<T>(), codes, op.scales.data<float>(), C, packed);
  });
}

}  // namespace srpo::cuda
