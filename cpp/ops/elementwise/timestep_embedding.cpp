#include "cpp/ops/elementwise/timestep_embedding.h"

#include <cmath>

#include "cpp/core/check.h"
#include "cpp/ops/op_table.h"

namespace srpo {

void timestep_embedding(const TimestepEmbedding& op, Stream& stream) {
  constexpr auto kOp = "timestepEmbedding";
  require_float(kOp, "dtype", op.y);
  if (op.t.empty()) refuse("ERR_SHAPE", kOp, "t", "at least one timestep", "none");
  for (const float t : op.t)
    require_range(kOp, "t", std::isfinite(t), "finite numbers", std::to_string(t));
  const int64_t dim = op.y.dim(1);
  require_range(kOp, "dim", dim >= 2 && dim % 2 == 0, "an even number above 0",
                std::to_string(dim));
  dispatch(kOp, &OpTable::timestep_embedding, op, stream);
}

}  // namespace srpo
