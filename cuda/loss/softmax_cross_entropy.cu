// y = mean(lse - logits[target]); dlogits = dy / B * (softmax(logits) - one at the target).
// Exponentials and sums in double, as in the cpu column: lse - logits[target] may be close to 0.

#include "cpp/ops/loss/softmax_cross_entropy.h"

#include "cuda/common/complaint.cuh"
#include "cuda/common/total.cuh"
#include "cuda/elementwise/map.cuh"

namespace srpo::cuda {
namespace {

constexpr int kThreads = 128;  // one block a row

/// A target outside [0, C) is told, and the row's loss is not a number.
template <typename T>
__global__ void softmax_cross_entropy_forward_kernel(double* loss, float* lse, int64_t* complaint,
                                                     const T* logits, const int32_t* target,
                                                     int64_t C) {
  wait_for_earlier_kernel();
  const int64_t b = blockIdx.x;
  const T* row = logits + b * C;
  float highest = -INFINITY;
  for (int64_t c = threadIdx.x; c < C; c += kThreads) highest = fmaxf(highest, float(row[c]));
  highest = block_max(highest);
  double sum = 0;
  for (int64_t c = threadIdx.x; c < C; c += kThreads) sum += exp(double{float(row[c])} - highest);
  const double total = highest + log(block_sum(sum));
  if (threadIdx.x != 0) return;
  lse[b] = static_cast<float>(total);
  const int32_t taken = target[b];
  const bool there = taken >= 0 && taken < C;
  if (!there) *complaint = taken;  // other than 0, which there always is
  loss[b] = there ? total - float(row[taken]) : NAN;
}

__global__ void softmax_cross_entropy_forward_mean_kernel(float* y, const double* loss, int64_t B) {
  wait_for_earlier_kernel();
  const double total = total_of(loss, B);
  if (threadIdx.x == 0) *y = static_cast<float>(total / static_cast<double>(B));
}

template <typename T>
__global__ void softmax_cross_entropy_backward_kernel(T* dlogits, const float* dy, const T* logits,
                                                      const int32_t* target, const float* lse,
                                                      int64_t B, int64_t C) {
  wait_for_earlier_kernel();
  const float scale = *dy / static_cast<float>(B);
  map<1>(B * C, false, [=]<int>(int64_t i) {
    const int64_t b = i / C;
    const double p = exp(double{float(logits[i])} - double{lse[b]});
    dlogits[i] = T(scale * static_cast<float>(i % C == target[b] ? p - 1 : p));
  });
}

}  // namespace

void softmax_cross_entropy_forward(const SoftmaxCrossEntropyForward& op, Stream& stream) {
  const auto [B, C] = op.logits.sizes<2>();
  auto* loss = scratch<double>(stream, B);
  int64_t* word = complaint(stream);
  visit_float(op.logits.dtype, [&, B = B, C = C]<typename T>() {
    launch(softmax_cross_entropy_forward_kernel<T>,
           {.grid = B, .block = kThreads, .stream = stream}, loss, op.lse.data<float>(), word,
           op.logits.data<T>(), op.target.data<int32_t>(), C);
  });
  launch(softmax_cross_entropy_forward_mean_kernel, sum_config(1, stream), op.y.data<float>(), loss,
         B);
  heed(stream, word, [C = C](int64_t target) {
    throw Error("ERR_RANGE", "softmaxCrossEntropy: target: expected 0 to " + std::to_string(C - 1) +
                                 ", got " + std::to_string(target));
  });
}

void softmax_cross_entropy_backward(const SoftmaxCrossEntropyBackward& op, Stream& stream) {
  const auto [B, C] = op.logits.sizes<2>();
  visit_float(op.logits.dtype, [&, B = B, C = C]<typename T>() {
    launch(softmax_cross_entropy_backward_kernel<T>, map_config<1>(B * C, stream),
           op.dlogits.data<T>(), op.dy.data<float>(), op.logits.data<T>(),
           op.target.data<int32_t>(), op.lse.data<float>(), B, C);
  });
}

}  // namespace srpo::cuda
