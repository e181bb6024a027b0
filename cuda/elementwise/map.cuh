// y[i] = f(x[i], ...): the loop that the elementwise ops share. A thread takes one pack of neighbouring
// elements, so that each of its loads and stores is 16 bytes wide where the tensors allow it.
#pragma once
#include "cuda/common/dtype.cuh"
#include "cuda/common/launch.cuh"

namespace srpo::cuda {

constexpr int kMapThreads = 256;

/// The launch for n elements in packs of N.
template <int N>
LaunchConfig map_config(int64_t n, Stream& stream) {
  return {.grid = ceil_div(n, N * kMapThreads), .block = kMapThreads, .stream = stream};
}

/// Within a kernel so launched: calls f.template operator()<N>(i) for the packs [i, i + N) and
/// f.template operator()<1>(i) where a pack does not fit; `packed` says that the tensors are aligned.
template <int N, typename F>
SRPO_DEVICE void map(int64_t n, bool packed, const F& f) {
  const int64_t begin = (int64_t{blockIdx.x} * kMapThreads + threadIdx.x) * N;
  if (packed && begin + N <= n) {
    f.template operator()<N>(begin);
    return;
  }
  const int64_t end = begin + N < n ? begin + N : n;
  for (int64_t i = begin; i < end; ++i) f.template operator()<1>(i);
}

}  // namespace srpo::cuda
