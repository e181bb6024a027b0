// Squared distances and their gradients: what mean squared error and a normal density share.
#pragma once
#include "cuda/common/total.cuh"
#include "cuda/elementwise/map.cuh"

namespace srpo::cuda {

/// Parts of the sum of (a - b)^2, n elements a sample; see total.cuh.
template <typename T>
__global__ void squared_distance_parts_kernel(double* parts, const T* a, const T* b, int64_t n,
                                              bool packed) {
  wait_for_earlier_kernel();
  const int64_t start = blockIdx.y * n;
  sum_part<kPack<T>>(parts, n, packed, [=]<int N>(int64_t i) {
    float u[N], v[N];
    load_pack(u, a + start + i);
    load_pack(v, b + start + i);
    double sum = 0;
    for (int j = 0; j < N; ++j) {
      const double distance = double{u[j]} - double{v[j]};
      sum += distance * distance;
    }
    return sum;
  });
}

/// Within a map over n elements: da = factor * (a - b), db = -da, from one reading. Either may be null.
template <typename T>
SRPO_DEVICE void scaled_differences(T* da, T* db, const T* a, const T* b, int64_t n, bool packed,
                                    float factor) {
  map<kPack<T>>(n, packed, [=]<int N>(int64_t i) {
    float u[N], v[N];
    load_pack(u, a + i);
    load_pack(v, b + i);
    for (int j = 0; j < N; ++j) {
      u[j] = factor * (u[j] - v[j]);
      v[j] = -u[j];
    }
    if (da != nullptr) store_pack(da + i, u);
    if (db != nullptr) store_pack(db + i, v);
  });
}

}  // namespace srpo::cuda
