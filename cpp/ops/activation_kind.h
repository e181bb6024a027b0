#pragma once
#include <cstdint>

namespace srpo {

/// The activations that ops fuse; TypeScript says "none", "gelu-tanh", "gelu-erf", "quick-gelu",
/// "silu", in this order.
enum class ActivationKind : int32_t { kNone, kGeluTanh, kGeluErf, kQuickGelu, kSilu };

}  // namespace srpo
