// Host memory that a card copies from and to in the background: a ring of pinned segments. A copy from
// pageable memory would make the caller wait; allocating pinned memory in the middle of a step would make the
// card wait.
#pragma once
#include <cuda_runtime.h>

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <mutex>
#include <vector>

namespace srpo::cuda {

class Staging {
 public:
  static constexpr size_t kSegment = size_t{1} << 20;
  static constexpr size_t kMost = 64;  // segments; who needs more waits for the card
  static constexpr size_t kReady = 4;  // made when the device is first used

  struct Segment {
    char* memory = nullptr;
    cudaEvent_t copied = nullptr;  // the copies out of it have ended
  };

  /// Makes the segments that a step needs. The device must be current, here and below.
  void open();
  /// Enqueues the copy of host memory, free again at once.
  void upload(void* device, const void* host, size_t bytes, cudaStream_t stream);
  /// A segment for a copy to the host, given back when its bytes were read; the caller may wait for one.
  Segment* take();
  void give(Segment* segment);

 private:
  Segment* make();
  Segment* next(std::unique_lock<std::mutex>& lock);
  void retire(cudaStream_t stream);

  std::mutex mutex_;
  std::condition_variable given_;
  size_t made_ = 0;
  std::vector<Segment*> free_;
  std::deque<Segment*> copying_;  // the earliest first
  Segment* current_ = nullptr;    // filled by small uploads
  size_t used_ = 0;               // of current_
};

}  // namespace srpo::cuda
