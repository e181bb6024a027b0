#pragma once
#include "cpp/core/stream.h"
#include "cpp/core/tensor_view.h"

namespace srpo {

/// ema = ema + (1 - decay) (w - ema), in place, w the float32 weight or master.
struct EmaUpdate {
  TensorView ema;        // [n]     float  in and out
  TensorView weights;    // [n]     float or bfloat16
  TensorView remainder;  // [n, 2]  uint8  with bfloat16 weights (master.h)
  double decay;
};

void ema_update(const EmaUpdate& op, Stream& stream);

}  // namespace srpo
