// y = a + b; into += from; casts. Memory bound: one pass each.

#include "cpp/ops/elementwise/add.h"

#include "cpp/cpu/elementwise/add_kernels.h"
#include "cpp/cpu/isa.h"
#include "cpp/cpu/parallel.h"
#include "cpp/ops/elementwise/cast.h"

namespace srpo::cpu {
namespace {

constexpr int64_t kGrain = 1 << 15;

const AddKernels& kernels() {
  static const AddKernels& best = best_of(add_generic, add_avx2, add_avx512);
  return best;
}

}  // namespace

void add_forward(const AddForward& op, Stream&) {
  parallel_ranges(op.y.numel(), kGrain, [&](int64_t begin, int64_t end) {
    const int64_t n = end - begin;
    if (op.y.dtype == DType::kFloat32)
      kernels().add_f32(op.y.data<float>() + begin, op.a.data<float>() + begin,
                        op.b.data<float>() + begin, n);
    else
      kernels().add_bf16(op.y.data<uint16_t>() + begin, op.a.data<uint16_t>() + begin,
                         op.b.data<uint16_t>() + begin, n);
  });
}

void accumulate(const Accumulate& op, Stream&) {
  parallel_ranges(op.into.numel(), kGrain, [&](int64_t begin, int64_t end) {
    const int64_t n = end - begin;
    if (op.into.dtype == DType::kFloat32) {
      float* into = op.into.data<float>() + begin;
      if (op.from.dtype == DType::kFloat32)
        kernels().add_f32(into, into, op.from.data<float>() + begin, n);
      else
        kernels().accumulate_bf16(into, op.from.data<uint16_t>() + begin, n);
    } else {
      uint16_t* into = op.into.data<uint16_t>() + begin;
      if (op.from.dtype == DType::kFloat32)
        kernels().accumulate_into_bf16(into, op.from.data<float>() + begin, n);
      else
        kernels().add_bf16(into, into, op.from.data<uint16_t>() + begin, n);
    }
  });
}

void cast(const Cast& op, Stream&) {
  if (op.x.dtype == op.y.dtype) {
    __builtin_memcpy(op.y.pointer, op.x.pointer, static_cast<size_t>(op.x.bytes()));
    return;
  }
  parallel_ranges(op.y.numel(), kGrain, [&](int64_t begin, int64_t end) {
    const int64_t n = end - begin;
    if (op.y.dtype == DType::kFloat32)
      kernels().to_f32(op.y.data<float>() + begin, op.x.data<uint16_t>() + begin, n);
    else
      kernels().to_bf16(op.y.data<uint16_t>() + begin, op.x.data<float>() + begin, n);
  });
}

}  // namespace srpo::cpu
