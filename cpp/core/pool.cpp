#include "cpp/core/pool.h"

#include <sys/mman.h>
#include <sys/resource.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <limits>
#include <string>

#include "cpp/core/error.h"

namespace srpo {
namespace {

constexpr size_t kAlignment = 256;
constexpr size_t kHugePage = size_t{2} << 20;
constexpr size_t kMuch = size_t{64} << 20;      // from here on, ask whether it is there
constexpr size_t kReserve = size_t{128} << 20;  // for JavaScript, which dies without memory

/// Eighths of a power of two, so that tensors of nearly one size share blocks and at most 1/8 is
/// wasted.
size_t size_class(size_t bytes) {
  bytes = std::max(bytes, kAlignment);
  size_t power = kAlignment;
  while (power * 2 <= bytes) power *= 2;
  const size_t step = std::max(power / 8, kAlignment);
  return (bytes + step - 1) / step * step;
}

/// The first number after `label` in a file of /proc or /sys; the largest there is if it has none.
size_t number_in(const char* path, const std::string& label) {
  std::ifstream file(path);
  std::string word;
  size_t number = 0;
  while (!label.empty() && file >> word && word != label) {
  }
  return file >> number ? number : std::numeric_limits<size_t>::max();
}

/// What the machine, or the container that this runs in, can still give.
size_t available_bytes() {
  constexpr size_t kNone = std::numeric_limits<size_t>::max();
  const size_t kibibytes = number_in("/proc/meminfo", "MemAvailable:");
  size_t machine = kibibytes == kNone ? kNone : kibibytes << 10;
  rlimit own;
  if (getrlimit(RLIMIT_DATA, &own) == 0 && own.rlim_cur != RLIM_INFINITY) {
    const size_t data = number_in("/proc/self/status", "VmData:");
    const size_t mine = data == kNone ? 0 : data << 10;
    machine = std::min(machine, own.rlim_cur - std::min<size_t>(own.rlim_cur, mine));
  }
  const size_t limit = number_in("/sys/fs/cgroup/memory.max", "");
  if (limit == kNone) return machine;
  const size_t used = number_in("/sys/fs/cgroup/memory.current", "");
  const size_t reclaimable = number_in("/sys/fs/cgroup/memory.stat", "file");
  const size_t held =
      used == kNone || reclaimable == kNone ? 0 : used - std::min(used, reclaimable);
  return std::min(machine, limit - std::min(limit, held));
}

class HostMemory : public MemorySource {
 public:
  void* allocate(size_t bytes) override {
    // The system promises memory that it does not have, and kills who touches it.
    if (bytes >= kMuch && bytes + kReserve > available_bytes()) return nullptr;
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

std::shared_ptr<Pool::Trim> Pool::trim() {
  const std::shared_ptr<Trim> taken(new Trim(*this));
  const std::lock_guard lock(mutex_);
  taken->blocks_.swap(cache_);
  return taken;
}

void Pool::Trim::release() {
  const std::lock_guard lock(pool_.mutex_);
  for (const auto& [bytes, pointer] : blocks_) {
    pool_.source_.release(pointer, bytes);
    pool_.stats_.cached -= bytes;
  }
  blocks_.clear();
}

Pool::Trim::~Trim() {
  const std::lock_guard lock(pool_.mutex_);
  pool_.cache_.merge(blocks_);
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
