#include "cpp/ops/attention/relative_bias.h"

#include "cpp/core/check.h"
#include "cpp/ops/op_table.h"

namespace srpo {

namespace {

void require_buckets(const char* op, int64_t buckets, int64_t max_distance) {
  require_range(op, "buckets", buckets >= 4 && buckets % 4 == 0, "a multiple of 4",
                std::to_string(buckets));
  require_range(op, "maxDistance", max_distance > buckets / 4,
                "above " + std::to_string(buckets / 4), std::to_string(max_distance));
}

}  // namespace

void relative_bias_forward(const RelativeBiasForward& op, Stream& stream) {
  constexpr auto kOp = "relativeBias";
  require_float(kOp, "table", op.table);
  require_not_empty(kOp, "table", op.table);
  require_not_empty(kOp, "L", op.bias);
  require_buckets(kOp, op.table.dim(0), op.max_distance);
  dispatch(kOp, &OpTable::relative_bias_forward, op, stream);
}

void relative_bias_backward(const RelativeBiasBackward& op, Stream& stream) {
  constexpr auto kOp = "relativeBias backward";
  require_rank(kOp, "dtable", op.dtable, 2, "[buckets, N]");
  require_not_empty(kOp, "dtable", op.dtable);
  require_rank(kOp, "dbias", op.dbias, 3, "[N, L, L]");
  require_shape(kOp, "dbias", op.dbias, {op.dtable.dim(1), op.dbias.dim(2), op.dbias.dim(2)});
  require_not_empty(kOp, "dbias", op.dbias);
  require_float(kOp, "dbias", op.dbias);
  require_float32(kOp, "dtable", op.dtable, {-1, -1}, op.dbias);
  require_buckets(kOp, op.dtable.dim(0), op.max_distance);
  dispatch(kOp, &OpTable::relative_bias_backward, op, stream);
}

}  // namespace srpo
