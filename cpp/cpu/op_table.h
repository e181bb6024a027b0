#pragma once
#include "cpp/ops/op_table.h"

namespace srpo::cpu {

// The rows of the cpu column, each in the file of its family. Only device.cpp includes this: a new row
// compiles the table and its own file, not the column.
#define SRPO_OP(row, Op) void row(const Op&, Stream&);
#include "cpp/ops/op_list.inc"
#undef SRPO_OP

}  // namespace srpo::cpu
