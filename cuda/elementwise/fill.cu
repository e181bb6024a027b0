// y = value, every element.

#include "cpp/ops/elementwise/fill.h"

#include "cuda/elementwise/map.cuh"

namespace srpo::cuda {
namespace {

template <typename T>
__global__ void fill_kernel(T* y, int64_t n, bool packed, float value) {
  wait_for_earlier_kernel();
  map<kPack<T>>(n, packed, [=]<int N>(int64_t i) {
    float v[N];
    for (float& each : v) each = value;
    store_pack(y + i, v);
  });
}

}  // namespace

void fill(const Fill& op, Stream& stream) {
  visit_float(op.y.dtype, [&]<typename T>() {
    launch(fill_kernel<T>, map_config<kPack<T>>(op.y.numel(), stream), op.y.data<T>(), op.y.numel(),
           packs<T>(op.y.pointer), op.value);
  });
}

}  // namespace srpo::cuda
