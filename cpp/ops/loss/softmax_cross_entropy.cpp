#include "cpp/ops/loss/softmax_cross_entropy.h"

#include "cpp/core/check.h"
#include "cpp/ops/op_table.h"

namespace srpo {

void softmax_cross_entropy_forward(const SoftmaxCrossEntropyForward& op, Stream& stream) {
  constexpr auto kOp = "softmaxCrossEntropy";
  require_rank(kOp, "logits", op.logits, 2, "[B, C]");
  require_float(kOp, "logits", op.logits);
  require_not_empty(kOp, "logits", op.logits);
  require_shape(kOp, "target", op.target, {op.logits.dim(0)});
  require_dtype(kOp, "target", op.target, DType::kInt32);
  require_same_device(kOp, "target", op.target, op.logits);
  dispatch(kOp, &OpTable::softmax_cross_entropy_forward, op, stream);
}

void softmax_cross_entropy_backward(const SoftmaxCrossEntropyBackward& op, Stream& stream) {
  constexpr auto kOp = "softmaxCrossEntropy backward";
  require_shape(kOp, "dy", op.dy, {1});
  require_dtype(kOp, "dy", op.dy, DType::kFloat32);
  dispatch(kOp, &OpTable::softmax_cross_entropy_backward, op, stream);
}

}  // namespace srpo
