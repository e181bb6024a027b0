// y = weight * mean(relu(margin - reward)); dreward = -weight / B * dy where margin > reward.
// A reward that is not a number gives a loss that is not a number.

#include "cpp/ops/loss/hinge.h"

#include "cuda/common/total.cuh"
#include "cuda/elementwise/map.cuh"

namespace srpo::cuda {
namespace {

/// One block: rewards are few.
template <typename T>
__global__ void hinge_forward_kernel(float* y, const T* reward, int64_t B, float margin,
                                     float weight) {
  wait_for_earlier_kernel();
  double sum = 0;
  for (int64_t b = threadIdx.x; b < B; b += kSumThreads) {
    const float gap = margin - float(reward[b]);
    sum += gap <= 0.f ? 0.f : gap;
  }
  const double total = block_sum(sum);
  if (threadIdx.x == 0) *y = static_cast<float>(weight * total / static_cast<double>(B));
}

template <typename T>
__global__ void hinge_backward_kernel(T* dreward, const float* dy, const T* reward, int64_t B,
                                      float margin, float weight) {
  wait_for_earlier_kernel();
  const float slope = -weight / static_cast<float>(B) * *dy;
  map<1>(B, false,
         [=]<int>(int64_t b) { dreward[b] = T(margin - float(reward[b]) <= 0.f ? 0.f : slope); });
}

}  // namespace

void hinge_forward(const HingeForward& op, Stream& stream) {
  visit_float(op.reward.dtype, [&]<typename T>() {
    launch(hinge_forward_kernel<T>, sum_config(1, stream), op.y.data<float>(), op.reward.data<T>(),
           op.reward.numel(), op.margin, op.weight);
  });
}

void hinge_backward(const HingeBackward& op, Stream& stream) {
  const int64_t B = op.reward.numel();
  visit_float(op.reward.dtype, [&]<typename T>() {
    launch(hinge_backward_kernel<T>, map_config<1>(B, stream), op.dreward.data<T>(),
           op.dy.data<float>(), op.reward.data<T>(), B, op.margin, op.weight);
  });
}

}  // namespace srpo::cuda
