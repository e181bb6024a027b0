// Sums and casts, for whatever target the including file has set.
#include "cpp/cpu/elementwise/add_kernels.h"
#include "cpp/cpu/vector.h"

namespace {

template <typename Y, typename A, typename B>
void add(Y* y, const A* a, const B* b, int64_t n) {
  for_each_16(n, [&](int64_t i, int64_t count) {
    store_at(y, i, load_at(a, i, count) + load_at(b, i, count), count);
  });
}

void accumulate_bf16(float* into, const bf16_bits* from, int64_t n) {
  add(into, into, from, n);
}

void accumulate_into_bf16(bf16_bits* into, const float* from, int64_t n) {
  add(into, into, from, n);
}

template <typename Y, typename X>
void convert(Y* y, const X* x, int64_t n) {
  for_each_16(n, [&](int64_t i, int64_t count) { store_at(y, i, load_at(x, i, count), count); });
}

}  // namespace

namespace srpo::cpu {

extern const AddKernels SRPO_NAMED(add_) = {
    .add_f32 = add<float, float, float>,
    .add_bf16 = add<bf16_bits, bf16_bits, bf16_bits>,
    .accumulate_bf16 = accumulate_bf16,
    .accumulate_into_bf16 = accumulate_into_bf16,
    .to_bf16 = convert<bf16_bits, float>,
    .to_f32 = convert<float, bf16_bits>,
};

}  // namespace srpo::cpu
