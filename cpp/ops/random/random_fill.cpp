#include "cpp/ops/random/random_fill.h"

#include "cpp/core/check.h"
#include "cpp/ops/op_table.h"

namespace srpo {

void random_fill(const RandomFill& op, const char* name, Stream& stream) {
  require_not_empty(name, "shape", op.out);
  if (op.distribution == Distribution::kBits)
    require_dtype(name, "dtype", op.out, DType::kInt32);
  else
    require_float(name, "dtype", op.out);
  const auto parts = static_cast<int64_t>(op.samples.size());
  const int64_t batch = op.out.rank > 0 ? op.out.dim(0) : 1;
  if (parts != 1 && parts != batch)
    refuse("ERR_SHAPE", name, "sample", "one, or " + std::to_string(batch) + ", one an entry",
           std::to_string(parts));
  // The counter's first word counts groups of four.
  constexpr int64_t kMost = int64_t{1} << 34;
  require_range(name, "offset", op.offset >= 0 && op.offset % 4 == 0, "a multiple of 4, at least 0",
                std::to_string(op.offset));
  require_range(name, "shape", op.out.numel() / parts <= kMost - op.offset,
                "at most 2^34 - offset elements a sample", std::to_string(op.out.numel() / parts));
  dispatch(name, &OpTable::random_fill, op, stream);
}

}  // namespace srpo
