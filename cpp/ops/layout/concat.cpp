#include "cpp/ops/layout/concat.h"

#include "cpp/core/check.h"
#include "cpp/ops/layout/dimension.h"
#include "cpp/ops/op_table.h"

namespace srpo {

std::vector<int64_t> concat_shape(const std::vector<TensorView>& xs, int64_t& dim) {
  constexpr auto kOp = "concat";
  if (xs.empty()) refuse("ERR_SHAPE", kOp, "xs", "at least one tensor", "none");
  const TensorView& first = xs.front();
  dim = dimension(kOp, "dim", dim, first);
  std::vector<int64_t> shape(first.dims, first.dims + first.rank);
  shape[static_cast<size_t>(dim)] = 0;
  for (size_t i = 0; i < xs.size(); ++i) {
    const std::string name = "xs[" + std::to_string(i) + "]";
    require_not_empty(kOp, name.c_str(), xs[i]);
    require_like(kOp, name.c_str(), xs[i], first);
    TensorView other = xs[i];
    if (other.rank == first.rank) other.dims[dim] = first.dims[dim];
    if (other.rank != first.rank || shape_text(other) != shape_text(first))
      refuse("ERR_SHAPE", kOp, name.c_str(),
             shape_text(first) + " but for dimension " + std::to_string(dim), shape_text(xs[i]));
    shape[static_cast<size_t>(dim)] += xs[i].dims[dim];
  }
  return shape;
}

void concat_forward(const ConcatForward& op, Stream& stream) {
  dispatch("concat", &OpTable::concat_forward, op, stream);
}

}  // namespace srpo
