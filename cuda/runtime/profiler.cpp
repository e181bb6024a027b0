#include "cuda/runtime/profiler.h"

#include <algorithm>

#include "cuda/runtime/check.h"
#include "cuda/runtime/cupti.h"

#if __has_include(<nvtx3/nvToolsExt.h>)
#include <nvtx3/nvToolsExt.h>
#define SRPO_NVTX 1
#endif

namespace srpo::cuda {

void nvtx_push(const char* name) {
#ifdef SRPO_NVTX
  nvtxRangePushA(name);
#else
  static_cast<void>(name);
#endif
}

void nvtx_pop() {
#ifdef SRPO_NVTX
  nvtxRangePop();
#endif
}

Profiler::Profiler(const std::string& timer, cudaStream_t stream, const std::string& device)
    : timer_(Timer::kNone), stream_(stream) {
  if (timer != "auto" && timer != "cupti" && timer != "events" && timer != "nvtx")
    throw Error("ERR_CONFIG", "profile: timer: expected auto, cupti, events or nvtx on " + device +
                                  ", got " + timer);
  if (timer == "auto" || timer == "cupti") {
    const std::string why_not = cupti::why_not();
    if (!why_not.empty() && timer == "cupti")
      throw Error("ERR_CONFIG", "profile: timer: expected libcupti, got none: " + why_not);
    timer_ = why_not.empty() ? Timer::kCupti : Timer::kEvents;
  } else if (timer == "events") {
    timer_ = Timer::kEvents;
  }
  CUDA_CHECK(cudaStreamSynchronize(stream_));
  if (timer_ == Timer::kCupti) {
    try {
      cupti::begin();
    } catch (const Error&) {
      if (timer == "cupti") throw;
      timer_ = Timer::kEvents;  // another tool holds CUPTI
    }
  }
  if (timer_ == Timer::kEvents) {
    CUDA_CHECK(cudaEventCreate(&first_));
    CUDA_CHECK(cudaEventRecord(first_, stream_));
    CUDA_CHECK(cudaEventSynchronize(first_));
  }
  begun_ = clock_ns();
}

Profiler::~Profiler() {
  if (first_ != nullptr) cudaEventDestroy(first_);
  for (const auto& [begin, end] : events_) {
    if (begin != nullptr) cudaEventDestroy(begin);
    if (end != nullptr) cudaEventDestroy(end);
  }
}

void Profiler::piece_begins(const char* op, Timeline& timeline) {
  const int64_t place = timeline.add(op);
  nvtx_push(op);
  if (timer_ == Timer::kCupti) cupti::push(place);
  if (timer_ != Timer::kEvents) return;
  events_.resize(place + 1);
  auto& [begin, end] = events_.back();
  CUDA_CHECK(cudaEventCreate(&begin));
  CUDA_CHECK(cudaEventCreate(&end));
  CUDA_CHECK(cudaEventRecord(begin, stream_));
}

void Profiler::piece_ends() {
  // Called while an op's error may be under way: a failed record shows as a piece without a time.
  if (timer_ == Timer::kEvents && !events_.empty() && events_.back().second != nullptr)
    cudaEventRecord(events_.back().second, stream_);
  if (timer_ == Timer::kCupti) cupti::pop();
  nvtx_pop();
}

Profile Profiler::take(Timeline& timeline) {
  Profile taken{.origin = begun_, .pieces = timeline.stop(), .kernels = {}, .timer = "nvtx"};
  std::vector<TimedPiece>& pieces = taken.pieces;
  if (timer_ == Timer::kCupti) {
    taken.timer = "cupti";
    taken.kernels = cupti::end();
    for (const TimedKernel& kernel : taken.kernels) {
      if (kernel.piece < 0 || kernel.piece >= static_cast<int64_t>(pieces.size())) continue;
      TimedPiece& piece = pieces[kernel.piece];
      piece.begin = piece.end == 0 ? kernel.begin : std::min(piece.begin, kernel.begin);
      piece.end = std::max(piece.end, kernel.end);
    }
  } else if (timer_ == Timer::kEvents) {
    taken.timer = "events";
    for (size_t i = 0; i < std::min(pieces.size(), events_.size()); ++i) {
      const auto& [begin, end] = events_[i];
      float from = 0, took = 0;  // ms
      if (begin == nullptr || cudaEventElapsedTime(&from, first_, begin) != cudaSuccess ||
          cudaEventElapsedTime(&took, begin, end) != cudaSuccess) {
        cudaGetLastError();  // recorded in a graph, or not at all: no time of its own
        continue;
      }
      pieces[i].begin = begun_ + static_cast<int64_t>(from * 1e6);
      pieces[i].end = pieces[i].begin + static_cast<int64_t>(took * 1e6);
    }
  }
  return taken;
}

}  // namespace srpo::cuda
