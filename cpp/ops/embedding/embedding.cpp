#include "cpp/ops/embedding/embedding.h"

#include <limits>

#include "cpp/core/check.h"
#include "cpp/ops/op_table.h"

namespace srpo {

void require_ids(const TensorView& table, const std::vector<int64_t>& ids,
                 const std::vector<int64_t>& shape) {
  constexpr auto kOp = "embedding";
  require_rank(kOp, "table", table, 2, "[V, D]");
  require_float(kOp, "table", table);
  require_not_empty(kOp, "table", table);
  if (table.dim(0) > std::numeric_limits<int32_t>::max())
    refuse("ERR_SHAPE", kOp, "table", "at most 2^31 - 1 rows", shape_text(table));
  const auto count = static_cast<int64_t>(ids.size());
  int64_t wanted = 1;
  for (const int64_t size : shape) {
    if (size < 0 || __builtin_mul_overflow(wanted, size, &wanted)) wanted = -1;
    if (wanted < 0) break;
  }
  if (count == 0) refuse("ERR_SHAPE", kOp, "ids", "at least one id", "none");
  if (wanted != count)
    refuse("ERR_SHAPE", kOp, "ids",
           "as many as " + shape_text(shape.data(), static_cast<int>(shape.size())),
           std::to_string(count));
  const int64_t V = table.dim(0);
  for (size_t i = 0; i < ids.size(); ++i)
    if (ids[i] < 0 || ids[i] >= V)
      refuse("ERR_RANGE", kOp, "ids", "0 to " + std::to_string(V - 1),
             std::to_string(ids[i]) + " at " + std::to_string(i));
}

void embedding_forward(const EmbeddingForward& op, Stream& stream) {
  dispatch("embedding", &OpTable::embedding_forward, op, stream);
}

void embedding_backward(const EmbeddingBackward& op, Stream& stream) {
  constexpr auto kOp = "embedding backward";
  if (op.dy.rank < 1) require_rank(kOp, "dy", op.dy, 1, "[..., D]");
  require_float(kOp, "dy", op.dy);
  require_not_empty(kOp, "dy", op.dy);
  require_float32(kOp, "dtable", op.dtable, {-1, op.dy.dim(-1)}, op.dy);
  require_dtype(kOp, "ids", op.ids, DType::kInt32);
  require_same_device(kOp, "ids", op.ids, op.dy);
  if (op.ids.numel() != op.dy.rows())
    refuse("ERR_SHAPE", kOp, "ids", std::to_string(op.dy.rows()) + " ids, one a row of dy",
           shape_text(op.ids));
  dispatch(kOp, &OpTable::embedding_backward, op, stream);
}

}  // namespace srpo
