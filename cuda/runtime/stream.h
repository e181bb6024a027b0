// A stream of a GPU: what is submitted is launched at once; a thread of its own waits for the ends.
//
// Nothing here waits for the card while a step is enqueued: memory comes in the stream's order, numbers of an op
// go through pinned memory, complaints lie in the host's memory and are looked at by the wait that follows.
#pragma once
#include <cuda_runtime.h>

#include <atomic>
#include <condition_variable>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "cpp/core/aside.h"
#include "cpp/core/pool.h"
#include "cpp/core/stream.h"
#include "cuda/runtime/complaints.h"
#include "cuda/runtime/profiler.h"
#include "cuda/runtime/side_stream.h"
#include "cuda/runtime/staging.h"

namespace srpo::cuda {

class CudaStream : public Stream, public AsideStream {
 public:
  explicit CudaStream(Device device) : device_(device), side_(*this) {}

  Device device() const override { return device_; }
  void submit(const char* op, std::function<void()> work) override;
  std::shared_ptr<Aside> submit_aside(const char* op, std::function<void(Stream&)> work,
                                      std::shared_ptr<void> held) override;
  void when_done(std::function<void(std::exception_ptr)> done) override;
  void leave() override;
  void copy_to_host(void* host, const void* device, size_t bytes) override;
  void copy_from_host(void* device, const void* host, size_t bytes) override;
  void copy(void* to, const void* from, size_t bytes) override;
  void zero(void* device, size_t bytes) override;
  void* scratch(size_t bytes, const void* contents) override;
  int64_t* complaint() override;
  void heed(int64_t* word, std::function<void(int64_t)> refuse) override;
  void* native() override;
  KernelPlace kernel_place() override;
  void profile_begin(const std::string& timer) override;
  Profile profile_end() override;
  void range_push(const char* name) override { nvtx_push(name); }
  void range_pop() override { nvtx_pop(); }

  /// Where scratch comes from; before the first submit.
  void use(Pool& pool) { pool_ = &pool; }
  /// Makes the calling thread use this device; the stream is made by the first call.
  cudaStream_t activate();
  /// Ends the thread that waits, after what it waits for.
  void stop();

 private:
  /// What the ops of one environment have come to since its last wait.
  struct Account {
    std::exception_ptr failure;  // of the first piece that failed: later ones are skipped
    std::vector<Heeded> heeded;
  };
  struct Ending {
    cudaEvent_t event;
    std::vector<const char*> ops;  // enqueued since the ending before
    std::function<void(std::exception_ptr)> then;
  };
  /// The stream, for anything but a kernel.
  cudaStream_t enqueue();
  /// A piece that was launched beside: its end, and what it uses until this stream stands behind that.
  struct Beside;
  class SideWork;
  void stand_behind(Beside& piece, bool tell);
  cudaEvent_t take_event();
  std::exception_ptr try_work(const char* op, const std::function<void()>& work);
  /// Calls `then`, on the waiting thread, when all that was enqueued so far has ended, with the card's error.
  void after(std::function<void(std::exception_ptr)> then);
  void run();
  std::exception_ptr fault(cudaError_t status);
  std::exception_ptr lost() const;

  Device device_;
  Pool* pool_ = nullptr;
  std::atomic<cudaStream_t> stream_ = nullptr;  // made when first used
  std::once_flag made_;
  Staging staging_;
  Complaints complaints_;

  std::recursive_mutex submit_mutex_;  // environments, each on a thread of its own, share the order
  std::map<std::thread::id, Account> accounts_;
  bool inside_ = false;               // a piece is submitted now
  bool behind_kernel_ = false;        // the last that was enqueued is one, and no copy or wait
  const char* op_ = "";               // that is submitted now
  std::vector<Pool::Block> scratch_;  // of it
  std::vector<int64_t*> words_;       // of it, not heeded yet
  SideStream side_;
  std::vector<const char*> aside_;      // ops beside that this stream does not stand behind yet
  std::vector<const char*> ops_;        // enqueued since the last ending, each once
  std::unique_ptr<Profiler> profiler_;  // while a profile is taken

  mutable std::mutex mutex_;
  std::condition_variable ready_, ended_;
  std::deque<Ending> endings_;
  std::vector<cudaEvent_t> events_;    // to be used again
  std::vector<const char*> suspects_;  // ops since the last ending that was well
  std::string lost_;                   // why the device cannot be used any more
  std::thread thread_;
  bool stopping_ = false;
  bool ending_ = false;  // one of endings_ is waited for or told
};

}  // namespace srpo::cuda
