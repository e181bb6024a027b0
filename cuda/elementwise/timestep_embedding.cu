// y[b] = [cos(t_b f_i)..., sin(t_b f_i)...], i = 0 .. h - 1, dim = 2 h. The frequencies come from the
// host, whose rounding the goldens hold (cpp/ops/elementwise/timestep_embedding.h); an angle is rounded
// to float, cos and sin are taken in double.

#include "cpp/ops/elementwise/timestep_embedding.h"

#include "cuda/common/math.cuh"
#include "cuda/elementwise/map.cuh"

namespace srpo::cuda {
namespace {

template <typename T>
__global__ void timestep_embedding_kernel(T* y, const float* t, const float* frequency,
                                          int64_t half, int64_t n) {
  wait_for_earlier_kernel();
  const int64_t at = int64_t{blockIdx.x} * kMapThreads + threadIdx.x;
  if (at >= n) return;
  const int64_t b = at / half, i = at % half;
  const float angle = t[b] * frequency[i];
  y[b * 2 * half + i] = T(static_cast<float>(cosine(static_cast<double>(angle))));
  y[b * 2 * half + half + i] = T(static_cast<float>(sine(static_cast<double>(angle))));
}

}  // namespace

void timestep_embedding(const TimestepEmbedding& op, Stream& stream) {
  const int64_t B = op.y.dim(0), half = op.y.dim(1) / 2;
  const std::vector<float> frequencies = timestep_frequencies(half);
  visit_float(op.y.dtype, [&]<typename T>() {
    launch(timestep_embedding_kernel<T>, map_config<1>(B * half, stream), op.y.data<T>(),
           upload(stream, op.t), upload(stream, frequencies), half, B * half);
  });
}

}  // namespace srpo::cuda
