#include "cpp/ops/loss/softmax_cross_entropy.h"

#include "cpp/core/check.h"
#include "cpp/ops/op_table.h"

namespace srpo {

namespace {

void require_inputs(const char* op, const TensorView& logits, const TensorView& target) {
  require_rank(op, "logits", logits, 2, "[B, C]");
  require_float(op, "logits", logits);
  require_not_empty(op, "logits", logits);
  require_shape(op, "target", target, {logits.dim(0)});
  require_dtype(op, "target", target, DType::kInt32);
  require_same_device(op, "target", target, logits);
}

}  // namespace

void softmax_cross_entropy_forward(const SoftmaxCrossEntropyForward& op, Stream& stream) {
  constexpr auto kOp = "softmaxCrossEntropy";
  require_inputs(kOp, op.logits, op.target);
  dispatch(kOp, &OpTable::softmax_cross_entropy_forward, op, stream);
}

void softmax_cross_entropy_backward(const SoftmaxCrossEntropyBackward& op, Stream& stream) {
  constexpr auto kOp = "softmaxCrossEntropy backward";
  require_inputs(kOp, op.logits, op.target);
  require_float32(kOp, "lse", op.lse, {op.logits.dim(0)}, op.logits);
  require_float32(kOp, "dy", op.dy, {1}, op.logits);
  dispatch(kOp, &OpTable::softmax_cross_entropy_backward, op, stream);
}

}  // namespace srpo
