// y = weight * mean(relu(margin - reward)); dreward = -weight / B * dy where margin > reward.
// A reward that is not a number gives a loss that is not a number.

#include "cpp/ops/loss/hinge.h"

#include "cpp/cpu/visit.h"

namespace srpo::cpu {

void hinge_forward(const HingeForward& op, Stream&) {
  visit_bits(op.reward.dtype, [&]<typename T>() {
    const int64_t B = op.reward.numel();
    const T* reward = op.reward.data<T>();
    double total = 0;
    for (int64_t b = 0; b < B; ++b) {
      const float gap = op.margin - read(reward[b]);
      total += gap <= 0 ? 0.f : gap;
    }
    *op.y.data<float>() = static_cast<float>(op.weight * total / static_cast<double>(B));
  });
}

void hinge_backward(const HingeBackward& op, Stream&) {
  visit_bits(op.reward.dtype, [&]<typename T>() {
    const int64_t B = op.reward.numel();
    const T* reward = op.reward.data<T>();
    const float slope = -op.weight / static_cast<float>(B) * *op.dy.data<float>();
    for (int64_t b = 0; b < B; ++b) {
      const float g = op.margin - read(reward[b]) <= 0 ? 0.f : slope;
      write(op.dreward.data<T>() + b, &g, 1);
    }
  });
}

}  // namespace srpo::cpu
