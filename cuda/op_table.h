#pragma once
#include "cpp/ops/op_table.h"

namespace srpo::cuda {

/// The cuda column, which is the emulated one too: the same sources under another compiler.
const OpTable& op_table();

}  // namespace srpo::cuda
