// ema += (1 - decay) (w - ema), w the float32 weight or the master of a bfloat16 one.

#include "cpp/ops/update/ema_update.h"

#include "cuda/common/math.cuh"
#include "cuda/update/numbers.cuh"

namespace srpo::cuda {
namespace {

template <typename Weights>
__global__ void ema_update_kernel(float* ema, Weights weights, int64_t n, bool packed, float rest) {
  wait_for_earlier_kernel();
  map<kPack<float>>(n, packed, [=]<int N>(int64_t i) {
    float e[N], w[N];
    load_pack(e, ema + i);
    weights.load(w, i);
    for (int j = 0; j < N; ++j) e[j] += product(rest, w[j] - e[j]);
    store_pack(ema + i, e);
  });
}

template <typename Weights>
void update(const EmaUpdate& op, const Weights& weights, Stream& stream) {
  auto* ema = op.ema.data<float>();
  launch(ema_update_kernel<Weights>, map_config<kPack<float>>(op.ema.numel(), stream), ema, weights,
         op.ema.numel(), packs<float>(ema) && weights.template packed<kPack<float>>(),
         static_cast<float>(1 - op.decay));
}

}  // namespace

void ema_update(const EmaUpdate& op, Stream& stream) {
  if (op.weights.dtype == DType::kFloat32)
    update(op, FullWeights{op.weights.data<float>()}, stream);
  else
    update(op, SplitWeights{op.weights.data<uint16_t>(), op.remainder.data<uint16_t>()}, stream);
}

}  // namespace srpo::cuda
