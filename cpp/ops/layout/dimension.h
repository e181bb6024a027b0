#pragma once
#include "cpp/core/check.h"

namespace srpo {

/// The index of a dimension that may count from the end; ERR_RANGE if there is none such.
inline int dimension(const char* op, const char* argument, int64_t dim, const TensorView& t) {
  require_range(op, argument, dim >= -t.rank && dim < t.rank, "a dimension of " + shape_text(t),
                std::to_string(dim));
  return static_cast<int>(dim < 0 ? dim + t.rank : dim);
}

}  // namespace srpo
