#include "cpp/ops/update/master.h"

#include "cpp/core/check.h"
#include "cpp/ops/op_table.h"

namespace srpo {

void require_remainder(const char* op, const TensorView& remainder, const TensorView& weights) {
  if (weights.dtype == DType::kFloat32) {
    if (remainder)
      refuse("ERR_DTYPE", op, "remainder", "none for float32 weights", shape_text(remainder));
    return;
  }
  const int64_t n = weights.dim(0);
  if (!remainder)
    refuse("ERR_SHAPE", op, "remainder",
           "[" + std::to_string(n) + ", 2] uint8 for bfloat16 weights", "none");
  require_shape(op, "remainder", remainder, {n, 2});
  require_dtype(op, "remainder", remainder, DType::kUInt8);
  require_same_device(op, "remainder", remainder, weights);
  if (reinterpret_cast<uintptr_t>(remainder.pointer) % 2 != 0)
    refuse("ERR_SHAPE", op, "remainder", "a view that begins at an even byte", "an odd one");
}

void split_master(const SplitMaster& op, Stream& stream) {
  constexpr auto kOp = "splitMaster";
  require_rank(kOp, "master", op.master, 1, "[n]");
  require_dtype(kOp, "master", op.master, DType::kFloat32);
  require_not_empty(kOp, "master", op.master);
  require_same_shape(kOp, "weights", op.weights, op.master);
  require_dtype(kOp, "weights", op.weights, DType::kBFloat16);
  require_same_device(kOp, "weights", op.weights, op.master);
  require_remainder(kOp, op.remainder, op.weights);
  dispatch(kOp, &OpTable::split_master, op, stream);
}

void join_master(const JoinMaster& op, Stream& stream) {
  constexpr auto kOp = "joinMaster";
  require_rank(kOp, "weights", op.weights, 1, "[n]");
  require_dtype(kOp, "weights", op.weights, DType::kBFloat16);
  require_not_empty(kOp, "weights", op.weights);
  require_remainder(kOp, op.remainder, op.weights);
  dispatch(kOp, &OpTable::join_master, op, stream);
}

}  // namespace srpo
