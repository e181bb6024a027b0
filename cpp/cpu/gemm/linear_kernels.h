#pragma once
#include <cstdint>

#include "cpp/ops/activation_kind.h"

namespace srpo::cpu {

/// The element-wise part of linear's backward on a block of rows of one sample and of columns; rows
/// are `stride` elements apart. With dpre = dy * gate * activation'(pre):
///   dpre written,   db += sum of dpre,   dgate += sum of dy * activation(pre)   (both float, [columns])
/// Null: not wanted (dpre, db, dgate) or not there (gate, pre).
template <typename T>
using LinearBackwardRows = void (*)(T* dpre, float* db, float* dgate, const T* dy, const T* pre,
                                    const T* gate, int64_t rows, int64_t columns, int64_t stride,
                                    ActivationKind activation);

struct LinearTables {
  LinearBackwardRows<float> f32;
  LinearBackwardRows<uint16_t> bf16;
};

extern const LinearTables linear_generic;
extern const LinearTables linear_avx2;
extern const LinearTables linear_avx512;

}  // namespace srpo::cpu
