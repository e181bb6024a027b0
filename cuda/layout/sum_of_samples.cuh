// into += the sum over samples, in their order: gradients of what all samples share.
#pragma once
#include "cuda/elementwise/map.cuh"

namespace srpo::cuda {

/// into[i] += dy[i] + dy[step + i] + ..., `samples` terms, for n elements.
template <typename T>
__global__ void sum_of_samples_kernel(float* into, const T* dy, int64_t samples, int64_t step,
                                      int64_t n, bool packed) {
  wait_for_earlier_kernel();
  map<kPack<float>>(n, packed, [=]<int N>(int64_t i) {
    float sums[N], terms[N];
    load_pack(sums, into + i);
    for (int64_t b = 0; b < samples; ++b) {
      load_pack(terms, dy + b * step + i);
      for (int j = 0; j < N; ++j) sums[j] += terms[j];
    }
    store_pack(into + i, sums);
  });
}

template <typename T>
void add_samples(float* into, const T* dy, int64_t samples, int64_t step, int64_t n,
                 Stream& stream) {
  const bool packed = packs<float>(into) && packs<float>(dy, step);
  launch(sum_of_samples_kernel<T>, map_config<kPack<float>>(n, stream), into, dy, samples, step, n,
         packed);
}

}  // namespace srpo::cuda
