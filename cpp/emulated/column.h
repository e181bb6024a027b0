// What the addon and the library of the emulated device must agree on.
#pragma once
#include <cstdint>

#include "cpp/core/stream.h"
#include "cpp/core/tensor_view.h"
#include "cpp/ops/op_table.h"

namespace srpo::emulated {

/// Raised when Stream, TensorView or an op struct changes: what the hash below cannot see.
constexpr uint64_t kColumnVersion = 2;

/// Changes with the rows of the op table, so that a library of other sources is not called.
inline uint64_t column_signature() {
  uint64_t hash = 14695981039346656037u;  // FNV-1a
  const auto add = [&hash](const char* text) {
    for (; *text != 0; ++text) hash = (hash ^ static_cast<unsigned char>(*text)) * 1099511628211u;
  };
#define SRPO_OP(row, Op) add(#row " " #Op "\n");
#include "cpp/ops/op_list.inc"
#undef SRPO_OP
  return hash ^ sizeof(OpTable) ^ (uint64_t{sizeof(TensorView)} << 32) ^ (kColumnVersion << 48);
}

/// Exported by the library; null where the signature is another.
using Column = const OpTable*(uint64_t signature);
using Seed = void(uint64_t seed);
/// Where its tensors lie: the library shuts that memory to kernels that have no business there yet.
struct Memory {
  void* (*allocate)(size_t bytes);
  void (*release)(void* pointer, size_t bytes);
  void (*shrink)();
};
using MemoryOf = const Memory*();

}  // namespace srpo::emulated
