#pragma once
#include <string>

#include "cpp/core/error.h"
#include "cpp/core/runtime.h"
#include "cpp/core/tensor_view.h"

namespace srpo {

#define SRPO_OP(row, Op) struct Op;
#include "cpp/ops/op_list.inc"
#undef SRPO_OP

/// One row an op and direction; each device fills one such table. Null: not there yet.
struct OpTable {
#define SRPO_OP(row, Op) void (*row)(const Op&, Stream&) = nullptr;
#include "cpp/ops/op_list.inc"
#undef SRPO_OP
};

/// Runs a row on the stream's device, or says that the device has no such row. The op is copied into
/// the queue: the tensors it views must live in pool memory.
template <typename Op>
void dispatch(const char* name, void (*OpTable::*row)(const Op&, Stream&), const Op& op,
              Stream& stream) {
  const auto run = backend_of(stream.device()).table->*row;
  if (run == nullptr)
    throw Error("ERR_UNSUPPORTED",
                std::string(name) + ": not implemented on " + name_of(stream.device()));
  stream.submit(name, [run, op, &stream] { run(op, stream); });
}

}  // namespace srpo
