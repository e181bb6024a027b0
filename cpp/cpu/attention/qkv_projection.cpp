// The projection of each stream, then the heads of all of them: each as the op of its own runs it.

#include <cstddef>
#include <memory>
#include <vector>

#include "cpp/ops/attention/qkv_projection_parts.h"

namespace srpo::cpu {

void linear_forward(const LinearForward& op, Stream& stream);
void qkv_norm_rope_forward(const QkvNormRopeForward& op, Stream& stream);

void qkv_projection(const QkvProjection& op, Stream& stream) {
  std::vector<std::unique_ptr<std::byte[]>> memory;
  project_in_parts(
      op,
      [&](int64_t bytes) -> void* {
        memory.push_back(std::make_unique_for_overwrite<std::byte[]>(bytes));
        return memory.back().get();
      },
      [&](const LinearForward& part) { cpu::linear_forward(part, stream); },
      [&](const QkvNormRopeForward& part) { cpu::qkv_norm_rope_forward(part, stream); });
}

}  // namespace srpo::cpu
