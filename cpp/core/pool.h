#pragma once
#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>

#include "cpp/core/device.h"

namespace srpo {

/// Where a pool gets its memory from: the host, or a GPU's driver.
class MemorySource {
 public:
  virtual ~MemorySource() = default;
  /// At least `bytes` bytes, aligned to 256; nullptr if there is no more.
  virtual void* allocate(size_t bytes) = 0;
  virtual void release(void* pointer, size_t bytes) = 0;
};

struct PoolStats {
  size_t in_use = 0;  // bytes handed out
  size_t cached = 0;  // bytes kept for reuse
  size_t peak = 0;    // most bytes handed out at once
};

/// A caching allocator. A freed block is handed out again at once, though work enqueued earlier may
/// still touch it: the next owner's work stands behind that work in the same stream.
class Pool {
 public:
  Pool(Device device, MemorySource& source) : device_(device), source_(source) {}

  /// Throws ERR_OUT_OF_MEMORY, saying what was asked and what is held. `granted` is the true size.
  void* allocate(size_t bytes, size_t& granted);
  void free(void* pointer, size_t granted);
  /// Gives cached blocks back to the source. Only when no enqueued work may touch them.
  void trim();
  PoolStats stats() const;

 private:
  Device device_;
  MemorySource& source_;
  mutable std::mutex mutex_;
  std::multimap<size_t, void*> cache_;
  PoolStats stats_;
};

/// Host memory, aligned, in huge pages where the system grants them.
MemorySource& host_memory();

}  // namespace srpo
