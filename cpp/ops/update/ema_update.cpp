#include "cpp/ops/update/ema_update.h"

#include "cpp/core/check.h"
#include "cpp/ops/op_table.h"
#include "cpp/ops/update/master.h"

namespace srpo {

void ema_update(const EmaUpdate& op, Stream& stream) {
  constexpr auto kOp = "emaUpdate";
  require_rank(kOp, "weights", op.weights, 1, "[n]");
  require_float(kOp, "weights", op.weights);
  require_not_empty(kOp, "weights", op.weights);
  require_remainder(kOp, op.remainder, op.weights);
  require_same_shape(kOp, "ema", op.ema, op.weights);
  require_dtype(kOp, "ema", op.ema, DType::kFloat32);
  require_same_device(kOp, "ema", op.ema, op.weights);
  require_range(kOp, "decay", op.decay >= 0 && op.decay <= 1, "0 to 1", std::to_string(op.decay));
  dispatch(kOp, &OpTable::ema_update, op, stream);
}

}  // namespace srpo
