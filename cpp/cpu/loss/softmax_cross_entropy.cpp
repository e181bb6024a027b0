// y = mean(lse - logits[target]); dlogits = dy / B * (softmax(logits) - one at the target).
// Exponentials and sums in double.

#include "cpp/ops/loss/softmax_cross_entropy.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "cpp/core/check.h"
#include "cpp/cpu/parallel.h"
#include "cpp/cpu/visit.h"

namespace srpo::cpu {

void softmax_cross_entropy_forward(const SoftmaxCrossEntropyForward& op, Stream&) {
  visit_bits(op.logits.dtype, [&]<typename T>() {
    const auto [B, C] = op.logits.sizes<2>();
    const T* logits = op.logits.data<T>();
    const int32_t* target = op.target.data<int32_t>();
    std::vector<double> loss(static_cast<size_t>(B));
    parallel_ranges(B, rows_of_range(C), [&](int64_t begin, int64_t end) {
      for (int64_t b = begin; b < end; ++b) {
        const T* row = logits + b * C;
        if (target[b] < 0 || target[b] >= C)
          refuse("ERR_RANGE", "softmaxCrossEntropy", "target", "0 to " + std::to_string(C - 1),
                 std::to_string(target[b]));
        float highest = read(row[0]);
        for (int64_t c = 1; c < C; ++c) highest = std::max(highest, read(row[c]));
        double total = 0;
        for (int64_t c = 0; c < C; ++c) total += std::exp(double{read(row[c])} - highest);
        const double lse = highest + std::log(total);
        op.lse.data<float>()[b] = static_cast<float>(lse);
        loss[static_cast<size_t>(b)] = lse - read(row[target[b]]);
      }
    });
    double total = 0;
    for (const double one : loss) total += one;
    *op.y.data<float>() = static_cast<float>(total / static_cast<double>(B));
  });
}

void softmax_cross_entropy_backward(const SoftmaxCrossEntropyBackward& op, Stream&) {
  visit_bits(op.logits.dtype, [&]<typename T>() {
    const auto [B, C] = op.logits.sizes<2>();
    const float *lse = op.lse.data<float>(), scale = *op.dy.data<float>() / static_cast<float>(B);
    parallel_ranges(B, rows_of_range(C), [&](int64_t begin, int64_t end) {
      for (int64_t b = begin; b < end; ++b) {
        const T* row = op.logits.data<T>() + b * C;
        const int32_t target = op.target.data<int32_t>()[b];
        for (int64_t c = 0; c < C; ++c) {
          const double p = std::exp(double{read(row[c])} - double{lse[b]});
          const float g = scale * static_cast<float>(c == target ? p - 1 : p);
          write(op.dlogits.data<T>() + b * C + c, &g, 1);
        }
      }
    });
  });
}

}  // namespace srpo::cpu
