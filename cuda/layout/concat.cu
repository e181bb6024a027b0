// Tensors one after the other along a dimension: a launch each, reading and writing once. Whole rows of
// bytes, as in the cpu column.

#include "cpp/ops/layout/concat.h"

#include "cpp/ops/layout/strides.h"
#include "cuda/layout/copy_pieces.cuh"

namespace srpo::cuda {

void concat_forward(const ConcatForward& op, Stream& stream) {
  const Strides y = strides_of(op.y, op.dim);
  char* to = op.y.data<char>();
  for (const TensorView& x : op.xs) {
    const int64_t bytes = strides_of(x, op.dim).outer;
    copy_pieces(to, y.outer, x.data<char>(), bytes, y.count, bytes, stream);
    to += bytes;
  }
}

}  // namespace srpo::cuda
