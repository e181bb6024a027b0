// One row before the rows of every sample:
//   y[b, 0] = row, y[b, 1 + l] = x[b, l]
//   drow += sum over b of dy[b, 0], in float and in the order of b;  dx[b, l] = dy[b, 1 + l]

#include "cpp/ops/layout/prepend_row.h"

#include "cuda/layout/copy_pieces.cuh"
#include "cuda/layout/sum_of_samples.cuh"

namespace srpo::cuda {

void prepend_row_forward(const PrependRowForward& op, Stream& stream) {
  const int64_t B = op.x.dim(0), L = op.x.dim(1), row = op.row.bytes();
  char* y = op.y.data<char>();
  copy_pieces(y, (L + 1) * row, op.row.data<char>(), 0, B, row, stream);
  copy_pieces(y + row, (L + 1) * row, op.x.data<char>(), L * row, B, L * row, stream);
}

void prepend_row_backward(const PrependRowBackward& op, Stream& stream) {
  const auto [B, rows, D] = op.dy.sizes<3>();
  const int64_t row = D * static_cast<int64_t>(size_of(op.dy.dtype)), L = rows - 1;
  if (op.dx)
    copy_pieces(op.dx.data<char>(), L * row, op.dy.data<char>() + row, rows * row, B, L * row,
                stream);
  if (op.drow)
    visit_float(op.dy.dtype, [&, B = B, D = D, rows = rows]<typename T>() {
      add_samples(op.drow.data<float>(), op.dy.data<T>(), B, rows * D, D, stream);
    });
}

}  // namespace srpo::cuda
