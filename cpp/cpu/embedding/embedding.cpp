// y[i] = table[ids[i]]; dtable[ids[i]] += dy[i], in float and in the order of i.

#include "cpp/ops/embedding/embedding.h"

#include <cstring>

#include "cpp/core/check.h"
#include "cpp/cpu/parallel.h"
#include "cpp/cpu/visit.h"

namespace srpo::cpu {

void embedding_forward(const EmbeddingForward& op, Stream&) {
  const int64_t D = op.table.dim(1);
  const int64_t row = D * static_cast<int64_t>(size_of(op.table.dtype));
  const int32_t* ids = op.ids.data<int32_t>();
  parallel_ranges(op.ids.numel(), rows_of_range(D), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i)
      std::memcpy(op.y.data<char>() + i * row, op.table.data<char>() + ids[i] * row,
                  static_cast<size_t>(row));
  });
}

void embedding_backward(const EmbeddingBackward& op, Stream&) {
  const int64_t D = op.dtable.dim(1), count = op.ids.numel();
  const int32_t* ids = op.ids.data<int32_t>();
  // Ids that lie on the device are seen only here: a row outside the table is never written.
  const int64_t V = op.dtable.dim(0);
  for (int64_t i = 0; i < count; ++i)
    if (ids[i] < 0 || ids[i] >= V)
      refuse("ERR_RANGE", "embedding backward", "ids", "0 to " + std::to_string(V - 1),
             std::to_string(ids[i]) + " at " + std::to_string(i));
  // Threads share out the channels, not the ids: each row then gets its terms in their order.
  constexpr int64_t kChannels = 128;
  visit_float(op.dy.dtype, [&]<typename T>() {
    parallel_ranges(D, kChannels, [&](int64_t begin, int64_t end) {
      for (int64_t i = 0; i < count; ++i) {
        float* into = op.dtable.data<float>() + ids[i] * D;
        const T* dy = op.dy.data<T>() + i * D;
        for (int64_t d = begin; d < end; ++d) into[d] += static_cast<float>(dy[d]);
      }
    });
  });
}

}  // namespace srpo::cpu
