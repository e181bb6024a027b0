// Tensors one after the other along a dimension. With the sizes before it taken as one (`outer`) and
// those after it as bytes, x i fills bytes [begin_i, begin_i + size_i) of each of y's outer rows.

#include "cpp/ops/layout/concat.h"

#include "cpp/cpu/layout/copy_pieces.h"
#include "cpp/ops/layout/strides.h"

namespace srpo::cpu {

void concat_forward(const ConcatForward& op, Stream&) {
  const Strides y = strides_of(op.y, op.dim);
  char* to = op.y.data<char>();
  for (const TensorView& x : op.xs) {
    const int64_t bytes = strides_of(x, op.dim).outer;
    copy_pieces(to, y.outer, x.data<char>(), bytes, y.count, bytes);
    to += bytes;
  }
}

}  // namespace srpo::cpu
