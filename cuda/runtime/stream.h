// A stream of a GPU: what is submitted is launched at once; a thread of its own waits for the ends.
#pragma once
#include <cuda_runtime.h>

#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <thread>
#include <vector>

#include "cpp/core/pool.h"
#include "cpp/core/stream.h"

namespace srpo::cuda {

class CudaStream : public Stream {
 public:
  CudaStream(Device device, Pool& pool) : device_(device), pool_(pool) {}

  Device device() const override { return device_; }
  void submit(const char* op, std::function<void()> work) override;
  void when_done(std::function<void(std::exception_ptr)> done) override;
  void leave() override;
  void copy_to_host(void* host, const void* device, size_t bytes) override;
  void copy_from_host(void* device, const void* host, size_t bytes) override;
  void copy(void* to, const void* from, size_t bytes) override;
  void zero(void* device, size_t bytes) override;
  void* scratch(size_t bytes, const void* contents) override;
  void* native() override;

  /// Ends the thread that waits, after what it waits for.
  void stop();

 private:
  struct Ending {
    cudaEvent_t event;
    std::function<void(cudaError_t)> then;
  };
  void activate();
  /// Calls `then` on the waiting thread when all that was enqueued so far has ended.
  void after(std::function<void(cudaError_t)> then);
  void run();
  /// Host memory that the card can copy from and to in the background.
  char* take_pinned(size_t bytes, size_t& granted);
  void give_pinned(char* pointer, size_t granted);
  /// Copies host memory, free again at once, to the device.
  void upload(void* device, const void* host, size_t bytes);

  Device device_;
  Pool& pool_;
  cudaStream_t stream_ = nullptr;  // made when first used
  std::once_flag made_;
  std::mutex mutex_;
  std::condition_variable ready_, ended_;
  std::deque<Ending> endings_;
  std::thread thread_;
  bool stopping_ = false;
  bool ending_ = false;  // one of endings_ is waited for or told
  std::mutex pinned_mutex_;
  std::multimap<size_t, char*> pinned_;
  std::mutex submit_mutex_;  // environments, each on a thread of its own, share the order
  std::vector<std::pair<void*, size_t>> scratch_;  // of the piece that is submitted now
};

}  // namespace srpo::cuda
