// Rows as 8-bit floats and a scale each, and back.

#include "cpp/ops/quantize/quantize_rows.h"

#include <array>
#include <cmath>

#include "cpp/cpu/parallel.h"
#include "cpp/cpu/visit.h"
#include "cpp/ops/quantize/e4m3.h"

namespace srpo::cpu {
namespace {

/// Every code's value: a look-up is quicker than its bits.
const std::array<float, 256>& values_of_codes() {
  static const auto values = [] {
    std::array<float, 256> all;
    for (int code = 0; code < 256; ++code) all[code] = float_of_e4m3(static_cast<uint8_t>(code));
    return all;
  }();
  return values;
}

template <typename T>
float largest_of(const T* x, int64_t C) {
  float largest = 0.f;
  for (int64_t c = 0; c < C; ++c) {
    const float magnitude = std::fabs(read(x[c]));
    // A NaN stays: no later one is larger.
    if (!(magnitude <= largest)) largest = magnitude;
    if (std::isnan(magnitude)) return magnitude;
  }
  return largest;
}

}  // namespace

void quantize_rows(const QuantizeRows& op, Stream&) {
  const auto [R, C] = op.codes.sizes<2>();
  visit_bits(op.x.dtype, [&, C = C]<typename T>() {
    parallel_ranges(op.codes.dim(0), rows_of_range(C), [&](int64_t begin, int64_t end) {
      for (int64_t r = begin; r < end; ++r) {
        const T* x = op.x.data<T>() + r * C;
        auto* codes = op.codes.data<uint8_t>() + r * C;
        const float scale = e4m3_scale(largest_of(x, C));
        op.scales.data<float>()[r] = scale;
        for (int64_t c = 0; c < C; ++c) codes[c] = e4m3_of(read(x[c]) / scale);
      }
    });
  });
}

void dequantize_rows(const DequantizeRows& op, Stream&) {
  const auto [R, C] = op.codes.sizes<2>();
  const auto& values = values_of_codes();
  visit_bits(op.y.dtype, [&, C = C]<typename T>() {
    parallel_ranges(op.codes.dim(0), rows_of_range(C), [&](int64_t begin, int64_t end) {
      for (int64_t r = begin; r < end; ++r) {
        const auto* codes = op.codes.data<uint8_t>() + r * C;
        const float scale = op.scales.data<float>()[r];
        T* y = op.y.data<T>() + r * C;
        for (int64_t c = 0; c < C; ++c) {
          const float value = values[codes[c]] * scale;
          write(y + c, &value, 1);
        }
      }
    });
  });
}

}  // namespace srpo::cpu
