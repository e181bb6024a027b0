// y = x in y's dtype, to nearest even.

#include "cpp/ops/elementwise/cast.h"

#include "cuda/elementwise/map.cuh"

namespace srpo::cuda {
namespace {

template <typename To, typename From>
__global__ void cast_kernel(To* y, const From* x, int64_t n, bool packed) {
  wait_for_earlier_kernel();
  map<kPack<float>>(n, packed, [=]<int N>(int64_t i) {
    float v[N];
    load_pack(v, x + i);
    store_pack(y + i, v);
  });
}

}  // namespace

void cast(const Cast& op, Stream& stream) {
  const bool packed = packs<float>(op.y.pointer) && packs<float>(op.x.pointer);
  visit_float(op.y.dtype, [&]<typename To>() {
    visit_float(op.x.dtype, [&]<typename From>() {
      launch(cast_kernel<To, From>, map_config<kPack<float>>(op.y.numel(), stream), op.y.data<To>(),
             op.x.data<From>(), op.y.numel(), packed);
    });
  });
}

}  // namespace srpo::cuda
