#include "cuda/runtime/stream.h"

#include <cstring>
#include <memory>

#include "cuda/runtime/check.h"

namespace srpo::cuda {

void CudaStream::activate() {
  CUDA_CHECK(cudaSetDevice(device_.index));
  std::call_once(
      made_, [this] { CUDA_CHECK(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking)); });
}

void* CudaStream::native() {
  activate();
  return stream_;
}

void CudaStream::submit(const char* op, std::function<void()> work) {
  const std::lock_guard lock(submit_mutex_);
  activate();
  // What a piece used goes back at once: whoever gets it next stands behind it in the stream.
  const auto release = [this] {
    for (const auto& [pointer, granted] : scratch_) pool_.free(pointer, granted);
    scratch_.clear();
  };
  try {
    work();
  } catch (const Error& error) {
    release();
    throw Error(error.code(), std::string(op) + ": " + error.what());
  }
  release();
}

void CudaStream::after(std::function<void(cudaError_t)> then) {
  cudaEvent_t event;
  CUDA_CHECK(cudaEventCreateWithFlags(&event, cudaEventDisableTiming | cudaEventBlockingSync));
  const cudaError_t recorded = cudaEventRecord(event, stream_);
  if (recorded != cudaSuccess) cudaEventDestroy(event);
  CUDA_CHECK(recorded);
  {
    const std::lock_guard lock(mutex_);
    endings_.push_back({event, std::move(then)});
    if (!thread_.joinable()) {
      stopping_ = false;
      thread_ = std::thread([this] { run(); });
    }
  }
  ready_.notify_one();
}

void CudaStream::run() {
  cudaSetDevice(device_.index);
  std::unique_lock lock(mutex_);
  while (true) {
    ready_.wait(lock, [this] { return stopping_ || !endings_.empty(); });
    if (endings_.empty()) return;
    Ending ending = std::move(endings_.front());
    endings_.pop_front();
    ending_ = true;
    lock.unlock();
    const cudaError_t status = cudaEventSynchronize(ending.event);
    cudaEventDestroy(ending.event);
    ending.then(status);
    ending = {};
    lock.lock();
    ending_ = false;
    ended_.notify_all();
  }
}

void CudaStream::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  ready_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void CudaStream::when_done(std::function<void(std::exception_ptr)> done) {
  activate();
  after([done = std::move(done)](cudaError_t status) {
    if (status == cudaSuccess) return done(nullptr);
    // A kernel fault: the card's context is lost with it.
    done(std::make_exception_ptr(
        Error("ERR_CUDA", std::string("a kernel failed: ") + cudaGetErrorName(status) + ": " +
                              cudaGetErrorString(status) +
                              "; the device cannot be used any more in this process")));
  });
}

void CudaStream::leave() {
  if (stream_ == nullptr) return;
  // An error stays with the card: the next wait reports it.
  if (cudaSetDevice(device_.index) == cudaSuccess) cudaStreamSynchronize(stream_);
  // Then the thread that waits may still copy to memory of the environment that ends.
  std::unique_lock lock(mutex_);
  ended_.wait(lock, [this] { return stopping_ || (endings_.empty() && !ending_); });
}

char* CudaStream::take_pinned(size_t bytes, size_t& granted) {
  {
    const std::lock_guard lock(pinned_mutex_);
    const auto found = pinned_.lower_bound(bytes);
    if (found != pinned_.end() && found->first <= 2 * bytes + 4096) {
      char* pointer = found->second;
      granted = found->first;
      pinned_.erase(found);
      return pointer;
    }
  }
  granted = (bytes + 4095) / 4096 * 4096;
  void* pointer = nullptr;
  CUDA_CHECK(cudaHostAlloc(&pointer, granted, cudaHostAllocDefault));
  return static_cast<char*>(pointer);
}

void CudaStream::give_pinned(char* pointer, size_t granted) {
  const std::lock_guard lock(pinned_mutex_);
  pinned_.emplace(granted, pointer);
}

void CudaStream::upload(void* device, const void* host, size_t bytes) {
  size_t granted;
  char* staged = take_pinned(bytes, granted);
  std::memcpy(staged, host, bytes);
  CUDA_CHECK(cudaMemcpyAsync(device, staged, bytes, cudaMemcpyHostToDevice, stream_));
  after([this, staged, granted](cudaError_t) { give_pinned(staged, granted); });
}

void CudaStream::copy_from_host(void* device, const void* host, size_t bytes) {
  activate();
  if (bytes > 0) upload(device, host, bytes);
}

void CudaStream::copy_to_host(void* host, const void* device, size_t bytes) {
  activate();
  if (bytes == 0) return;
  size_t granted;
  char* staged = take_pinned(bytes, granted);
  CUDA_CHECK(cudaMemcpyAsync(staged, device, bytes, cudaMemcpyDeviceToHost, stream_));
  after([=, this](cudaError_t) {
    std::memcpy(host, staged, bytes);
    give_pinned(staged, granted);
  });
}

void CudaStream::copy(void* to, const void* from, size_t bytes) {
  activate();
  CUDA_CHECK(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice, stream_));
}

void CudaStream::zero(void* device, size_t bytes) {
  activate();
  CUDA_CHECK(cudaMemsetAsync(device, 0, bytes, stream_));
}

void* CudaStream::scratch(size_t bytes, const void* contents) {
  size_t granted;
  void* pointer = pool_.allocate(bytes, granted);
  scratch_.emplace_back(pointer, granted);
  if (contents != nullptr) upload(pointer, contents, bytes);
  return pointer;
}

}  // namespace srpo::cuda
