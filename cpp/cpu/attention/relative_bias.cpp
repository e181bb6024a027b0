// bias[n, i, j] = table[bucket(j - i), n]: constant along the diagonals.
//
//   bias, dbias  [N, L, L]     T or float
//   table        [buckets, N]  T      dtable  float
//
// Backward: dtable[c, n] = sum of dbias[n, i, j] over i and j with bucket(j - i) = c, summed along
// each diagonal in the order of i, then over the diagonals in the order of j - i.

#include "cpp/ops/attention/relative_bias.h"

#include <cstring>
#include <vector>

#include "cpp/cpu/parallel.h"

namespace srpo::cpu {
namespace {

/// The bucket of every offset from -(L - 1) to L - 1.
std::vector<int64_t> buckets_of_offsets(int64_t L, int64_t buckets, int64_t max_distance) {
  std::vector<int64_t> of(2 * L - 1);
  for (int64_t d = 0; d < 2 * L - 1; ++d)
    of[d] = relative_bucket(d - (L - 1), buckets, max_distance);
  return of;
}

template <typename T>
void forward(const RelativeBiasForward& op) {
  const int64_t N = op.table.dim(1), L = op.bias.dim(1);
  const auto bucket = buckets_of_offsets(L, op.table.dim(0), op.max_distance);
  parallel_blocks(N, [&](int64_t n) {
    std::vector<T> diagonals(2 * L - 1);
    for (int64_t d = 0; d < 2 * L - 1; ++d) diagonals[d] = op.table.data<T>()[bucket[d] * N + n];
    for (int64_t i = 0; i < L; ++i)
      std::memcpy(op.bias.data<T>() + (n * L + i) * L, diagonals.data() + L - 1 - i, L * sizeof(T));
  });
}

template <typename T>
void backward(const RelativeBiasBackward& op) {
  const int64_t N = op.dtable.dim(1), L = op.dbias.dim(1), buckets = op.dtable.dim(0);
  const auto bucket = buckets_of_offsets(L, buckets, op.max_distance);
  parallel_blocks(N, [&](int64_t n) {
    std::vector<float> diagonals(2 * L - 1, 0.f), sums(buckets, 0.f);
    for (int64_t i = 0; i < L; ++i) {
      const T* row = op.dbias.data<T>() + (n * L + i) * L;
      float* to = diagonals.data() + L - 1 - i;
      for (int64_t j = 0; j < L; ++j) to[j] += static_cast<float>(row[j]);
    }
    for (int64_t d = 0; d < 2 * L - 1; ++d) sums[bucket[d]] += diagonals[d];
    for (int64_t c = 0; c < buckets; ++c) op.dtable.data<float>()[c * N + n] += sums[c];
  });
}

}  // namespace

void relative_bias_forward(const RelativeBiasForward& op, Stream&) {
  visit_float(op.table.dtype, [&]<typename T>() { forward<T>(op); });
}

void relative_bias_backward(const RelativeBiasBackward& op, Stream&) {
  visit_float(op.dbias.dtype, [&]<typename T>() { backward<T>(op); });
}

}  // namespace srpo::cpu
