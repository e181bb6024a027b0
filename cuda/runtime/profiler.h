// What a GPU's stream does while a profile of it is taken.
#pragma once
#include <cuda_runtime.h>

#include <string>
#include <utility>
#include <vector>

#include "cpp/core/timeline.h"

namespace srpo::cuda {

/// Times the pieces of one stream: by CUPTI, by events around each, or not at all (NVTX for Nsight alone).
class Profiler {
 public:
  /// `timer`: auto, cupti, events or nvtx. Throws ERR_CONFIG for another or if it is not there.
  Profiler(const std::string& timer, cudaStream_t stream, const std::string& device);
  ~Profiler();

  /// By CUPTI each kernel is, on one track.
  bool times_kernels() const { return timer_ == Timer::kCupti; }
  /// One after the other; parts of a piece are not told apart.
  void piece_begins(const char* op, Timeline& timeline);
  void piece_ends();
  /// The pieces' times; the stream must be idle.
  Profile take(Timeline& timeline);

 private:
  enum class Timer { kCupti, kEvents, kNone };
  Timer timer_;
  cudaStream_t stream_;
  int64_t begun_ = 0;
  cudaEvent_t first_ = nullptr;
  std::vector<std::pair<cudaEvent_t, cudaEvent_t>> events_;  // by the piece's place
};

/// A piece of work, where a profiler may be there.
class TimedWork {
 public:
  TimedWork(Profiler* profiler, Timeline& timeline, const char* op) : profiler_(profiler) {
    if (profiler_ != nullptr) profiler_->piece_begins(op, timeline);
  }
  ~TimedWork() {
    if (profiler_ != nullptr) profiler_->piece_ends();
  }
  TimedWork(const TimedWork&) = delete;
  TimedWork& operator=(const TimedWork&) = delete;

 private:
  Profiler* profiler_;
};

/// Stages, for Nsight. No more than a test of a pointer where no tool listens.
void nvtx_push(const char* name);
void nvtx_pop();

}  // namespace srpo::cuda
