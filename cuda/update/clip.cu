// grad *= max / (norm + 1e-6), where that is below 1; otherwise nothing is read but the norm.

#include "cpp/ops/update/clip.h"

#include "cuda/elementwise/map.cuh"

namespace srpo::cuda {
namespace {

template <typename T>
__global__ void clip_kernel(T* grad, const float* norm, int64_t n, bool packed, float max_norm) {
  wait_for_earlier_kernel();
  const float factor = clip_factor(*norm, max_norm);
  if (factor == 1.f) return;
  map<kPack<T>>(n, packed, [=]<int N>(int64_t i) {
    float g[N];
    load_pack(g, grad + i);
    for (float& value : g) value *= factor;
    store_pack(grad + i, g);
  });
}

}  // namespace

void clip(const Clip& op, Stream& stream) {
  visit_float(op.grad.dtype, [&]<typename T>() {
    launch(clip_kernel<T>, map_config<kPack<T>>(op.grad.numel(), stream), op.grad.data<T>(),
           op.norm.data<float>(), op.grad.numel(), packs<T>(op.grad.pointer), op.max_norm);
  });
}

}  // namespace srpo::cuda
