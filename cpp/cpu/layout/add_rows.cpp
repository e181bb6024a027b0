// y[b] = x[b] + rows; drows += sum over b of dy[b], in float and in the order of b.

#include "cpp/ops/layout/add_rows.h"

#include "cpp/cpu/elementwise/add_kernels.h"
#include "cpp/cpu/isa.h"
#include "cpp/cpu/parallel.h"

namespace srpo::cpu {
namespace {

constexpr int64_t kGrain = 1 << 14;

const AddKernels& kernels() {
  static const AddKernels& best = best_of(add_generic, add_avx2, add_avx512);
  return best;
}

}  // namespace

void add_rows_forward(const AddRowsForward& op, Stream&) {
  const int64_t B = op.x.dim(0), n = op.rows.numel();
  parallel_ranges(n, kGrain, [&](int64_t begin, int64_t end) {
    for (int64_t b = 0; b < B; ++b) {
      const int64_t at = b * n + begin;
      if (op.x.dtype == DType::kFloat32)
        kernels().add_f32(op.y.data<float>() + at, op.x.data<float>() + at,
                          op.rows.data<float>() + begin, end - begin);
      else
        kernels().add_bf16(op.y.data<uint16_t>() + at, op.x.data<uint16_t>() + at,
                           op.rows.data<uint16_t>() + begin, end - begin);
    }
  });
}

void add_rows_backward(const AddRowsBackward& op, Stream&) {
  const int64_t B = op.dy.dim(0), n = op.drows.numel();
  parallel_ranges(n, kGrain, [&](int64_t begin, int64_t end) {
    float* into = op.drows.data<float>() + begin;
    for (int64_t b = 0; b < B; ++b) {
      const int64_t at = b * n + begin;
      if (op.dy.dtype == DType::kFloat32)
        kernels().add_f32(into, into, op.dy.data<float>() + at, end - begin);
      else
        kernels().accumulate_bf16(into, op.dy.data<uint16_t>() + at, end - begin);
    }
  });
}

}  // namespace srpo::cpu
