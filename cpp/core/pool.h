#pragma once
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
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
  /// Takes the blocks that are cached now. They go back to the source by `release`, once no enqueued
  /// work may touch them, or into the cache again if it is never called. A block that is freed later
  /// is not among them: work that was enqueued later may still write to it.
  class Trim {
   public:
    ~Trim();
    void release();

   private:
    friend class Pool;
    explicit Trim(Pool& pool) : pool_(pool) {}
    Pool& pool_;
    std::multimap<size_t, void*> blocks_;
  };
  std::shared_ptr<Trim> trim();
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
