// One row a sample, and the gradient that is 0 in all others.

#include "cpp/ops/layout/gather_rows.h"

#include <cstring>

#include "cpp/cpu/layout/copy_pieces.h"

namespace srpo::cpu {

void gather_rows_forward(const GatherRowsForward& op, Stream&) {
  const int64_t B = op.x.dim(0), L = op.x.dim(1);
  const int64_t row = op.x.dim(2) * static_cast<int64_t>(size_of(op.x.dtype));
  for (int64_t b = 0; b < B; ++b)
    std::memcpy(op.y.data<char>() + b * row,
                op.x.data<char>() + (b * L + op.index[static_cast<size_t>(b)]) * row,
                static_cast<size_t>(row));
}

void gather_rows_backward(const GatherRowsBackward& op, Stream&) {
  const int64_t B = op.dx.dim(0), L = op.dx.dim(1);
  const int64_t row = op.dx.dim(2) * static_cast<int64_t>(size_of(op.dx.dtype));
  char* dx = op.dx.data<char>();
  copy_pieces(dx, L * row, nullptr, 0, B, L * row);
  for (int64_t b = 0; b < B; ++b)
    std::memcpy(dx + (b * L + op.index[static_cast<size_t>(b)]) * row, op.dy.data<char>() + b * row,
                static_cast<size_t>(row));
}

}  // namespace srpo::cpu
