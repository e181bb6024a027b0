#pragma once
#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "cpp/core/stream.h"
#include "cpp/core/tensor_view.h"

namespace srpo {

/// bias[n, i, j] = table[bucket(j - i), n], the additive position bias of T5 (both directions).
/// Source: T5 (Raffel et al. 2020, sec. 2.1).
struct RelativeBiasForward {
  TensorView bias;   // [N, L, L]     out
  TensorView table;  // [buckets, N]
  int64_t max_distance;
};

/// dtable is added to.
struct RelativeBiasBackward {
  TensorView dtable;  // [buckets, N]  float  added to
  TensorView dbias;   // [N, L, L]
  int64_t max_distance;
};

void relative_bias_forward(const RelativeBiasForward& op, Stream& stream);
void relative_bias_backward(const RelativeBiasBackward& op, Stream& stream);

/// The bucket of an offset key - query. One half of the buckets is for keys behind the query, one for
/// those ahead; of each half the first half is one distance each, and the rest grow by equal ratios
/// up to max_distance: with 32 and 128 they begin at 8, 12, 16, 23, 32, 46, 64, 91.
inline int64_t relative_bucket(int64_t offset, int64_t buckets, int64_t max_distance) {
  const int64_t half = buckets / 2, exact = half / 2;
  const int64_t base = offset > 0 ? half : 0, n = std::abs(offset);
  if (n < exact) return base + n;
  // A hair above the logarithm: where the ratio is a whole power, rounding must not fall below it.
  const double steps = std::log(static_cast<double>(n) / exact) /
                       std::log(static_cast<double>(max_distance) / exact) * (half - exact);
  return base + std::min(half - 1, exact + static_cast<int64_t>(steps + 1e-9));
}

}  // namespace srpo
