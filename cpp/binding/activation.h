#pragma once
#include <iterator>
#include <string>

#include "cpp/binding/arguments.h"
#include "cpp/core/check.h"
#include "cpp/ops/activation_kind.h"

namespace srpo::binding {

/// "none", "gelu-tanh", "gelu-erf", "quick-gelu" or "silu".
inline ActivationKind activation_of(const Arguments& args, size_t index, const char* name) {
  static constexpr const char* kNames[] = {"none", "gelu-tanh", "gelu-erf", "quick-gelu", "silu"};
  const std::string value = args.text(index, name);
  for (size_t i = 0; i < std::size(kNames); ++i)
    if (value == kNames[i]) return static_cast<ActivationKind>(i);
  refuse("ERR_RANGE", args.op(), name, "none, gelu-tanh, gelu-erf, quick-gelu or silu", value);
}

}  // namespace srpo::binding
