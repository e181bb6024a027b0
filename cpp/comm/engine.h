#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>

#include "cpp/core/aside.h"
#include "cpp/core/dtype.h"
#include "cpp/core/stream.h"

namespace srpo::comm {

enum class Reduction : uint8_t { kSum, kMax };

/// What moves tensors between ranks. Each call is made within a piece of the stream's work, or of work beside it,
/// and begins when the one before it has ended: MPI blocks the thread that runs the queue, NCCL launches. All ranks
/// make the same calls in the same order.
/// Counts are of elements; a sum of bfloat16 runs in float32 and is rounded once.
class Engine {
 public:
  virtual ~Engine() = default;
  virtual int rank() const = 0;
  virtual int size() const = 0;
  virtual void all_reduce(void* data, int64_t count, DType dtype, Reduction reduction,
                          Stream& stream) = 0;
  /// in [size * count] -> out [count], this rank's part of the sum
  virtual void reduce_scatter(const void* in, void* out, int64_t count, DType dtype,
                              Stream& stream) = 0;
  /// in [count] -> out [size * count]; `in` may be out's own part
  virtual void all_gather(const void* in, void* out, int64_t count, DType dtype,
                          Stream& stream) = 0;
  virtual void broadcast(void* data, size_t bytes, int root, Stream& stream) = 0;
  virtual void barrier(Stream& stream) = 0;
  /// After the last call, by every rank: it waits for them. Without it what was opened stays until the process
  /// ends, which a rank that failed must not wait for.
  virtual void close() {}
  /// An error that came up behind a call that had returned; nullptr if there is none.
  virtual const char* failure() { return nullptr; }

  /// Held while a call is enqueued: communicators of several JavaScript environments may share an engine.
  std::mutex order;
  /// What was enqueued beside the stream last and no call in the stream's own order stands behind yet.
  std::shared_ptr<Aside> last;
};

}  // namespace srpo::comm
