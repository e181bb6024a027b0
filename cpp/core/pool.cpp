#include "cpp/core/pool.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstdlib>
#include <string>

#include "cpp/core/error.h"

namespace srpo {
namespace {

constexpr size_t kAlignment = 256;
constexpr size_t kHugePage = size_t{2} << 20;

/// Eighths of a power of two, so that tensors of nearly one size share blocks and at most 1/8 is
/// wasted.
size_t size_class(size_t bytes) {
  bytes = std::max(bytes, kAlignment);
  size_t power = kAlignment;
  while (power * 2 <= bytes) power *= 2;
  const size_t step = std::max(power / 8, kAlignment);
  return (bytes + step - 1) / step * step;
}

class HostMemory : public MemorySource {
 public:
  void* allocate(size_t bytes) override {
    const size_t alignment = bytes >= kHugePage ? kHugePage : kAlignment;
    const size_t rounded = (bytes + alignment - 1) / alignment * alignment;
    void* pointer = std::aligned_alloc(alignment, rounded);
    if (pointer != nullptr && bytes >= kHugePage) madvise(pointer, rounded, MADV_HUGEPAGE);
    return pointer;
  }
  void release(void* pointer, size_t) override { std::free(pointer); }
};

std::string mebibytes(size_t bytes) {
  return std::to_string(bytes >> 20) + " MiB";
}

}  // namespace

void* Pool::allocate(size_t bytes, size_t& granted) {
  const std::lock_guard lock(mutex_);
  const size_t wanted = size_class(bytes);
  auto found = cache_.lower_bound(wanted);
  // A block up to a quarter larger serves too; beyond that it is worth more to its own size.
  if (found != cache_.end() && found->first <= wanted + wanted / 4) {
    void* pointer = found->second;
    granted = found->first;
    cache_.erase(found);
    stats_.cached -= granted;
    stats_.in_use += granted;
    stats_.peak = std::max(stats_.peak, stats_.in_use);
    return pointer;
  }
  void* pointer = source_.allocate(wanted);
  if (pointer == nullptr)
    throw Error("ERR_OUT_OF_MEMORY",
                name_of(device_) + ": asked for " + mebibytes(wanted) + " with " +
                    mebibytes(stats_.in_use) + " in use and " + mebibytes(stats_.cached) +
                    " cached; a smaller batch, recompute or a smaller size would help");
  granted = wanted;
  stats_.in_use += granted;
  stats_.peak = std::max(stats_.peak, stats_.in_use);
  return pointer;
}

void Pool::free(void* pointer, size_t granted) {
  const std::lock_guard lock(mutex_);
  cache_.emplace(granted, pointer);
  stats_.in_use -= granted;
  stats_.cached += granted;
}

void Pool::trim() {
  const std::lock_guard lock(mutex_);
  for (const auto& [bytes, pointer] : cache_) source_.release(pointer, bytes);
  cache_.clear();
  stats_.cached = 0;
}

PoolStats Pool::stats() const {
  const std::lock_guard lock(mutex_);
  return stats_;
}

MemorySource& host_memory() {
  static HostMemory memory;
  return memory;
}

}  // namespace srpo
