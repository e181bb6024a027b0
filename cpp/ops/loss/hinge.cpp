#include "cpp/ops/loss/hinge.h"

#include "cpp/core/check.h"
#include "cpp/ops/op_table.h"

namespace srpo {

void hinge_forward(const HingeForward& op, Stream& stream) {
  constexpr auto kOp = "hinge";
  require_rank(kOp, "reward", op.reward, 1, "[B]");
  require_float(kOp, "reward", op.reward);
  require_not_empty(kOp, "reward", op.reward);
  dispatch(kOp, &OpTable::hinge_forward, op, stream);
}

void hinge_backward(const HingeBackward& op, Stream& stream) {
  constexpr auto kOp = "hinge backward";
  require_rank(kOp, "reward", op.reward, 1, "[B]");
  require_float(kOp, "reward", op.reward);
  require_not_empty(kOp, "reward", op.reward);
  require_float32(kOp, "dy", op.dy, {1}, op.reward);
  dispatch(kOp, &OpTable::hinge_backward, op, stream);
}

}  // namespace srpo
