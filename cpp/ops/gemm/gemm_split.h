#pragma once
#include <array>

#include "cpp/ops/gemm/gemm.h"

namespace srpo {

/// A product whose first columns go elsewhere (GemmOutput::before), as two: of them, and of the others.
inline std::array<Gemm, 2> split_columns(const Gemm& g) {
  const int64_t columns = g.output.before_columns;
  Gemm first = g, rest = g;
  first.N = columns;
  first.output = {.out = g.output.before, .stride = columns};
  rest.N -= columns;
  rest.b.data = static_cast<const char*>(g.b.data) +
                columns * g.b.column_stride * static_cast<int64_t>(size_of(g.dtype));
  rest.output.before = nullptr;
  rest.output.before_columns = 0;
  return {first, rest};
}

}  // namespace srpo
