// Position bias of T5: bias[n, i, j] = table[bucket(j - i), n].
//
//   bias, dbias  [N, L, L]     T
//   table        [buckets, N]  T, dtable float
//
// Backward: dtable[c, n] += sum over i, j with bucket(j - i) = c of dbias[n, i, j]: along each diagonal
// from its first row to its last, then over the diagonals of a bucket in a fixed order.

#include "cpp/ops/attention/relative_bias.h"

#include <vector>

#include "cuda/common/launch.cuh"
#include "cuda/common/warp.cuh"
#include "cuda/elementwise/map.cuh"

namespace srpo::cuda {
namespace {

constexpr int kThreads = 256;

/// The bucket of every offset from -(L - 1) to L - 1.
const int32_t* upload_buckets(int64_t L, int64_t buckets, int64_t max_distance, Stream& stream) {
  std::vector<int32_t> of(static_cast<size_t>(2 * L - 1));
  for (int64_t d = 0; d < 2 * L - 1; ++d)
    of[static_cast<size_t>(d)] =
        static_cast<int32_t>(relative_bucket(d - (L - 1), buckets, max_distance));
  return upload(stream, of);
}

template <typename T>
__global__ void relative_bias_forward_kernel(T* bias, const T* table, const int32_t* bucket,
                                             int64_t N, int64_t L) {
  wait_for_earlier_kernel();
  map<kPack<T>>(N * L * L, false, [=]<int>(int64_t at) {
    const int64_t n = at / (L * L), i = at / L % L, j = at % L;
    bias[at] = table[bucket[j - i + L - 1] * N + n];
  });
}

/// diagonals[n, d] = sum of dbias[n, i, j] with j - i = d - (L - 1).
template <typename T>
__global__ void relative_bias_backward_diagonals_kernel(float* diagonals, const T* dbias,
                                                        int64_t L) {
  wait_for_earlier_kernel();
  const int64_t d = int64_t{blockIdx.x} * kThreads + threadIdx.x, n = blockIdx.y;
  if (d >= 2 * L - 1) return;
  float sum = 0.f;
  for (int64_t i = 0; i < L; ++i) {
    const int64_t j = d - (L - 1) + i;
    if (j >= 0 && j < L) sum += float(dbias[(n * L + i) * L + j]);
  }
  diagonals[n * (2 * L - 1) + d] = sum;
}

/// A warp an entry of the table.
__global__ void relative_bias_backward_table_kernel(float* dtable, const float* diagonals,
                                                    const int32_t* bucket, int64_t N, int64_t L) {
  wait_for_earlier_kernel();
  const int64_t c = blockIdx.x, n = blockIdx.y;
  float sum = 0.f;
  for (int64_t d = threadIdx.x; d < 2 * L - 1; d += kWarp)
    if (bucket[d] == c) sum += diagonals[n * (2 * L - 1) + d];
  sum = warp_sum(sum);
  if (threadIdx.x == 0) dtable[c * N + n] += sum;
}

}  // namespace

void relative_bias_forward(const RelativeBiasForward& op, Stream& stream) {
  const int64_t N = op.table.dim(1), L = op.bias.dim(1);
  const int32_t* bucket = upload_buckets(L, op.table.dim(0), op.max_distance, stream);
  visit_float(op.table.dtype, [&]<typename T>() {
    launch(relative_bias_forward_kernel<T>, map_config<kPack<T>>(N * L * L, stream),
           op.bias.data<T>(), op.table.data<T>(), bucket, N, L);
  });
}

void relative_bias_backward(const RelativeBiasBackward& op, Stream& stream) {
  const int64_t N = op.dtable.dim(1), L = op.dbias.dim(1), buckets = op.dtable.dim(0);
  const int32_t* bucket = upload_buckets(L, buckets, op.max_distance, stream);
  float* diagonals = scratch<float>(stream, N * (2 * L - 1));
  visit_float(op.dbias.dtype, [&]<typename T>() {
    launch(relative_bias_backward_diagonals_kernel<T>,
           {.grid = {ceil_div(2 * L - 1, kThreads), N}, .block = kThreads, .stream = stream},
           diagonals, op.dbias.data<T>(), L);
  });
  launch(relative_bias_backward_table_kernel,
         {.grid = {buckets, N}, .block = kWarp, .stream = stream}, op.dtable.data<float>(),
         diagonals, bucket, N, L);
}

}  // namespace srpo::cuda
