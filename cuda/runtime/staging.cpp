#include "cuda/runtime/staging.h"

#include <algorithm>
#include <cstring>

#include "cuda/runtime/check.h"

namespace srpo::cuda {

Staging::Segment* Staging::make() {
  auto* segment = new Segment;  // never freed: a copy may touch it until the process ends
  void* memory = nullptr;
  CUDA_CHECK(cudaHostAlloc(&memory, kSegment, cudaHostAllocDefault));
  segment->memory = static_cast<char*>(memory);
  CUDA_CHECK(
      cudaEventCreateWithFlags(&segment->copied, cudaEventDisableTiming | cudaEventBlockingSync));
  ++made_;
  return segment;
}

void Staging::open() {
  const std::lock_guard lock(mutex_);
  while (made_ < kReady) free_.push_back(make());
}

Staging::Segment* Staging::next(std::unique_lock<std::mutex>& lock) {
  while (true) {
    while (!copying_.empty()) {
      const cudaError_t status = cudaEventQuery(copying_.front()->copied);
      if (status == cudaErrorNotReady) {
        cudaGetLastError();  // it counts as an error, though it is none
        break;
      }
      CUDA_CHECK(status);
      free_.push_back(copying_.front());
      copying_.pop_front();
    }
    if (!free_.empty()) {
      Segment* segment = free_.back();
      free_.pop_back();
      return segment;
    }
    if (made_ < kMost) return make();
    if (!copying_.empty())
      CUDA_CHECK(cudaEventSynchronize(copying_.front()->copied));
    else
      given_.wait(lock);  // all of them are on their way to the host
  }
}

void Staging::retire(cudaStream_t stream) {
  if (current_ == nullptr) return;
  CUDA_CHECK(cudaEventRecord(current_->copied, stream));
  copying_.push_back(current_);
  current_ = nullptr;
}

void Staging::upload(void* device, const void* host, size_t bytes, cudaStream_t stream) {
  constexpr size_t kAlignment = 16;
  std::unique_lock lock(mutex_);
  for (size_t at = 0; at < bytes;) {
    const size_t part = std::min(bytes - at, kSegment);
    while (current_ == nullptr || used_ + part > kSegment) {
      retire(stream);
      Segment* fresh = next(lock);  // which may have let another thread in
      if (current_ != nullptr) {
        free_.push_back(fresh);
        continue;
      }
      current_ = fresh;
      used_ = 0;
    }
    char* staged = current_->memory + used_;
    std::memcpy(staged, static_cast<const char*>(host) + at, part);
    CUDA_CHECK(cudaMemcpyAsync(static_cast<char*>(device) + at, staged, part,
                               cudaMemcpyHostToDevice, stream));
    used_ += (part + kAlignment - 1) / kAlignment * kAlignment;
    at += part;
  }
}

Staging::Segment* Staging::take() {
  std::unique_lock lock(mutex_);
  return next(lock);
}

void Staging::give(Segment* segment) {
  {
    const std::lock_guard lock(mutex_);
    free_.push_back(segment);
  }
  given_.notify_one();
}

}  // namespace srpo::cuda
