#pragma once
#include <cstddef>
#include <cstdint>
#include <limits>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "cpp/core/device.h"

namespace srpo {

/// Where a pool gets its memory from: the host, or a GPU's driver.
class MemorySource {
 public:
  virtual ~MemorySource() = default;
  /// At least `bytes` bytes, aligned to 256; nullptr if there is no more.
  virtual void* allocate(size_t bytes) = 0;
  virtual void release(void* pointer, size_t bytes) = 0;
  /// Bytes that it could still give, and that there are in all.
  struct Left {
    size_t free, total;
  };
  virtual Left left() = 0;
  /// Gives what it keeps of released memory back to the system.
  virtual void shrink() {}
};

struct PoolStats {
  size_t in_use = 0;  // bytes handed out
  size_t cached = 0;  // bytes kept for reuse
  size_t peak = 0;    // most bytes handed out at once
};

constexpr size_t kNoLimit = std::numeric_limits<size_t>::max();

/// A caching allocator. A freed block is handed out again at once, though work enqueued earlier may
/// still touch it: the next owner's work stands behind that work in the same stream.
class Pool {
 public:
  /// @param most_kept larger blocks go straight back to a source that reuses memory itself, in the
  ///   stream's order
  Pool(Device device, MemorySource& source, size_t most_kept = kNoLimit)
      : device_(device), source_(source), most_kept_(most_kept) {}

  struct Block {
    void* pointer = nullptr;
    size_t bytes = 0;       // as many as were asked for, or more
    const char* what = "";  // what it holds, for messages
  };
  /// `what` must outlive the block: a literal, or `memory_label`. Throws ERR_OUT_OF_MEMORY, saying what
  /// was asked, what is free and what holds the most.
  Block allocate(size_t bytes, const char* what);
  void free(const Block& block);
  /// No more than so many bytes are handed out or kept from here on.
  void limit(size_t bytes);
  /// What could still be handed out, beyond what is in use, and what there is in all.
  MemorySource::Left left() const;
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
  Block grant(void* pointer, size_t bytes, const char* what);
  [[noreturn]] void refuse(size_t wanted, const char* what) const;

  Device device_;
  MemorySource& source_;
  const size_t most_kept_;
  mutable std::mutex mutex_;
  std::multimap<size_t, void*> cache_;
  std::map<std::string, size_t> held_;  // bytes in use by what they hold
  PoolStats stats_;
  size_t limit_ = kNoLimit;
};

/// What the memory that this thread allocates is for: the op that was called last, until a name is set
/// (weights, moments, ...); nullptr ends that.
const char* memory_label();
void set_memory_op(const char* op);
void set_memory_label(const char* name);

/// Host memory, aligned, in huge pages where the system grants them.
MemorySource& host_memory();

}  // namespace srpo
