#include "cpp/core/pool.h"

#include <sys/mman.h>
#include <sys/resource.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <set>
#include <string>
#include <vector>

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
  return file >> number ? number : kNoLimit;
}

/// What the machine, or the container that this runs in, can still give.
size_t available_bytes() {
  constexpr size_t kNone = kNoLimit;
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
  Left left() override {
    const size_t kibibytes = number_in("/proc/meminfo", "MemTotal:");
    return {available_bytes(), kibibytes == kNoLimit ? kNoLimit : kibibytes << 10};
  }
};

std::string text_of(size_t bytes) {
  if (bytes >= size_t{10} << 30) return std::to_string(bytes >> 30) + " GiB";
  if (bytes >= size_t{1} << 20) return std::to_string(bytes >> 20) + " MiB";
  return std::to_string(bytes) + " bytes";
}

/// The largest first, what is left after four together.
std::string holders(const std::map<std::string, size_t>& held) {
  std::vector<std::pair<size_t, std::string>> sorted;
  for (const auto& [what, bytes] : held)
    if (bytes > 0) sorted.emplace_back(bytes, what);
  std::sort(sorted.rbegin(), sorted.rend());
  std::string text;
  size_t others = 0;
  for (size_t i = 0; i < sorted.size(); ++i) {
    if (i >= 4)
      others += sorted[i].first;
    else
      text += (i > 0 ? ", " : "") + sorted[i].second + " " + text_of(sorted[i].first);
  }
  return others > 0 ? text + ", others " + text_of(others) : text;
}

thread_local const char* op_label = "tensor";
thread_local const char* named_label = nullptr;

}  // namespace

const char* memory_label() {
  return named_label == nullptr ? op_label : named_label;
}

void set_memory_op(const char* op) {
  op_label = op;
}

void set_memory_label(const char* name) {
  static std::mutex mutex;
  static auto& known = *new std::set<std::string>;  // names are few, and never freed
  const std::lock_guard lock(mutex);
  named_label = name == nullptr ? nullptr : known.emplace(name).first->c_str();
}

Pool::Block Pool::grant(void* pointer, size_t bytes, const char* what) {
  stats_.in_use += bytes;
  stats_.peak = std::max(stats_.peak, stats_.in_use);
  held_[what] += bytes;
  return {pointer, bytes, what};
}

void Pool::refuse(size_t wanted, const char* what) const {
  const auto [free, total] = source_.left();
  const bool limited = limit_ != kNoLimit;
  throw Error(
      "ERR_OUT_OF_MEMORY",
      name_of(device_) + ": asked for " + text_of(wanted) + " (" + what + ") with " +
          (limited ? text_of(limit_ - std::min(limit_, stats_.in_use)) + " left of a limit of " +
                         text_of(limit_)
                   : text_of(free) + " free of " + text_of(total)) +
          "; in use " + text_of(stats_.in_use) +
          (held_.empty() ? "" : " (" + holders(held_) + ")") + ", kept for reuse " +
          text_of(stats_.cached) +
          "; what helps: recomputed activations, a smaller micro-batch or picture, bf16, LoRA");
}

Pool::Block Pool::allocate(size_t bytes, const char* what) {
  const std::lock_guard lock(mutex_);
  const bool keeps = bytes <= most_kept_;
  const size_t wanted =
      keeps ? size_class(bytes) : (bytes + kAlignment - 1) / kAlignment * kAlignment;
  auto found = keeps ? cache_.lower_bound(wanted) : cache_.end();
  // A block up to a quarter larger serves too; beyond that it is worth more to its own size.
  if (found != cache_.end() && found->first <= wanted + wanted / 4) {
    const auto [granted, pointer] = *found;
    cache_.erase(found);
    stats_.cached -= granted;
    return grant(pointer, granted, what);
  }
  if (limit_ != kNoLimit && stats_.in_use + stats_.cached + wanted > limit_) refuse(wanted, what);
  void* pointer = source_.allocate(wanted);
  if (pointer == nullptr) refuse(wanted, what);
  return grant(pointer, wanted, what);
}

void Pool::free(const Block& block) {
  const std::lock_guard lock(mutex_);
  stats_.in_use -= block.bytes;
  held_[block.what] -= block.bytes;
  // Only blocks beyond the largest class that is kept are granted as they are asked for.
  if (block.bytes > most_kept_) return source_.release(block.pointer, block.bytes);
  cache_.emplace(block.bytes, block.pointer);
  stats_.cached += block.bytes;
}

void Pool::limit(size_t bytes) {
  const std::lock_guard lock(mutex_);
  limit_ = bytes;
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
  pool_.source_.shrink();
}

Pool::Trim::~Trim() {
  const std::lock_guard lock(pool_.mutex_);
  pool_.cache_.merge(blocks_);
}

MemorySource::Left Pool::left() const {
  const std::lock_guard lock(mutex_);
  auto [free, total] = source_.left();
  if (free != kNoLimit) free += stats_.cached;
  if (limit_ == kNoLimit) return {free, total};
  return {std::min(free, limit_ - std::min(limit_, stats_.in_use)), std::min(total, limit_)};
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
