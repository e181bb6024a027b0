#include "cpp/ops/elementwise/binary.h"

#include "cpp/core/check.h"
#include "cpp/ops/op_table.h"

namespace srpo {
namespace {

void forward(const char* name, void (*OpTable::*row)(const BinaryForward&, Stream&),
             const BinaryForward& op, Stream& stream) {
  require_float(name, "a", op.a);
  require_not_empty(name, "a", op.a);
  require_same_shape(name, "b", op.b, op.a);
  require_like(name, "b", op.b, op.a);
  dispatch(name, row, op, stream);
}

}  // namespace

void sub_forward(const BinaryForward& op, Stream& stream) {
  forward("sub", &OpTable::sub_forward, op, stream);
}

void mul_forward(const BinaryForward& op, Stream& stream) {
  forward("mul", &OpTable::mul_forward, op, stream);
}

}  // namespace srpo
