#pragma once
#include "cpp/core/stream.h"
#include "cpp/core/tensor_view.h"

namespace srpo {

/// scales[r] = max |x[r]| / 448, codes[r] = E4M3(x[r] / scales[r]): 1/16 off at most, below 2^-6 of the scale half
/// of 2^-9 of it. A value that is not finite makes its row's scale one that is not.
struct QuantizeRows {
  TensorView codes;   // [R, C]  uint8  out
  TensorView scales;  // [R]     float  out
  TensorView x;       // [R, C]
};

/// y[r] = codes[r] * scales[r], in float and rounded once.
struct DequantizeRows {
  TensorView y;       // [R, C]         out
  TensorView codes;   // [R, C]  uint8
  TensorView scales;  // [R]     float
};

void quantize_rows(const QuantizeRows& op, Stream& stream);
void dequantize_rows(const DequantizeRows& op, Stream& stream);

}  // namespace srpo
