// Part of a tensor along one dimension, and the gradient that is 0 outside of it.

#include "cpp/ops/layout/slice.h"

#include "cpp/cpu/layout/copy_pieces.h"
#include "cpp/ops/layout/strides.h"

namespace srpo::cpu {

void slice_forward(const SliceForward& op, Stream&) {
  const Strides x = strides_of(op.x, op.dim), y = strides_of(op.y, op.dim);
  copy_pieces(op.y.data<char>(), y.outer, op.x.data<char>() + op.start * x.inner, x.outer, y.count,
              y.outer);
}

void slice_backward(const SliceBackward& op, Stream&) {
  const Strides dx = strides_of(op.dx, op.dim), dy = strides_of(op.dy, op.dim);
  char* to = op.dx.data<char>();
  const int64_t before = op.start * dx.inner, after = dx.outer - before - dy.outer;
  if (before > 0) copy_pieces(to, dx.outer, nullptr, 0, dx.count, before);
  copy_pieces(to + before, dx.outer, op.dy.data<char>(), dy.outer, dx.count, dy.outer);
  if (after > 0) copy_pieces(to + before + dy.outer, dx.outer, nullptr, 0, dx.count, after);
}

}  // namespace srpo::cpu
