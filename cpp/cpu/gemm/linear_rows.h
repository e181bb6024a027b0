// The rows of linear's backward, for whatever target the including file has set.
#include "cpp/cpu/activation.h"
#include "cpp/cpu/gemm/linear_kernels.h"
#include "cpp/cpu/vector.h"

namespace {

template <typename T, ActivationKind kind>
void backward_rows_of(T* dpre, float* db, float* dgate, const T* dy, const T* pre, const T* gate,
                      int64_t rows, int64_t columns, int64_t stride) {
  for (int64_t row = 0; row < rows; ++row) {
    const int64_t at = row * stride;
    for_each_16(columns, [&](int64_t j, int64_t n) {
      f32x16 g = load_at(dy + at, j, n);  // 0 past the end, and so is what is added below
      if (dgate != nullptr) {
        const f32x16 y = activate<kind>(load_at(pre + at, j, n));
        store_at(dgate, j, load_at(dgate, j, n) + g * y, n);
      }
      if (gate != nullptr) g *= load_at(gate, j, n);
      if constexpr (kind != ActivationKind::kNone)
        g *= activation_derivative<kind>(load_at(pre + at, j, n));
      if (db != nullptr) store_at(db, j, load_at(db, j, n) + g, n);
      if (dpre != nullptr) store_at(dpre + at, j, g, n);
    });
  }
}

template <typename T>
void backward_rows(T* dpre, float* db, float* dgate, const T* dy, const T* pre, const T* gate,
                   int64_t rows, int64_t columns, int64_t stride, ActivationKind activation) {
  visit_activation(activation, [&]<ActivationKind kind>() {
    backward_rows_of<T, kind>(dpre, db, dgate, dy, pre, gate, rows, columns, stride);
  });
}

}  // namespace

namespace srpo::cpu {

extern const LinearTables SRPO_NAMED(linear_) = {
    .f32 = backward_rows<float>,
    .bf16 = backward_rows<bf16_bits>,
};

}  // namespace srpo::cpu
