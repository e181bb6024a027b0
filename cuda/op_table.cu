#include "cuda/op_table.h"

namespace srpo::cuda {

#define SRPO_OP(row, Op) void row(const Op&, Stream&);
#include "cpp/ops/op_list.inc"
#undef SRPO_OP

const OpTable& op_table() {
  static const OpTable table = [] {
    OpTable rows;
#define SRPO_OP(row, Op) rows.row = row;
#include "cpp/ops/op_list.inc"
#undef SRPO_OP
    return rows;
  }();
  return table;
}

}  // namespace srpo::cuda
