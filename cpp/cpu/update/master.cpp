// A float32 master in two halves: the weight it rounds to, and the 16 bits that rebuild it.

#include "cpp/ops/update/master.h"

#include "cpp/cpu/parallel.h"

namespace srpo::cpu {

void split_master(const SplitMaster& op, Stream&) {
  const auto* master = op.master.data<uint32_t>();
  auto *weights = op.weights.data<uint16_t>(), *remainder = op.remainder.data<uint16_t>();
  parallel_ranges(op.master.numel(), 16384, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      weights[i] = master_weight(master[i]);
      remainder[i] = static_cast<uint16_t>(master[i]);
    }
  });
}

void join_master(const JoinMaster& op, Stream&) {
  auto* master = op.master.data<uint32_t>();
  const auto *weights = op.weights.data<uint16_t>(), *remainder = op.remainder.data<uint16_t>();
  parallel_ranges(op.weights.numel(), 16384, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) master[i] = master_of(weights[i], remainder[i]);
  });
}

}  // namespace srpo::cpu
