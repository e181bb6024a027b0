// The stream beside a card's own: its kernels start before those of the card's own stream that have not begun.
#pragma once
#include <cuda_runtime.h>

#include <atomic>
#include <mutex>

#include "cpp/core/stream.h"

namespace srpo::cuda {

class CudaStream;

/// What a piece of work beside a CudaStream uses, on the thread that submits it. Its order with the stream's own work
/// is the CudaStream's concern.
class SideStream : public Stream {
 public:
  explicit SideStream(CudaStream& main) : main_(main) {}

  Device device() const override;
  void* native() override { return activate(); }
  /// A part of the piece.
  void submit(const char*, std::function<void()> work) override { work(); }
  void copy(void* to, const void* from, size_t bytes) override;
  void zero(void* device, size_t bytes) override;
  /// Kept until the stream stands behind the piece.
  void* scratch(size_t bytes, const void* contents) override;

  // Of a stream that is waited for; a piece has no use for them.
  void when_done(std::function<void(std::exception_ptr)>) override;
  void copy_to_host(void*, const void*, size_t) override;
  void copy_from_host(void*, const void*, size_t) override;
  int64_t* complaint() override;

  /// Makes the device the calling thread's; the stream is made by the first call.
  cudaStream_t activate();
  /// What is enqueued here from now on comes after all that the main stream has now.
  void follow();
  /// Waits for what it has, if it was ever used.
  void drain();

 private:
  CudaStream& main_;
  std::once_flag made_;
  std::atomic<cudaStream_t> stream_ = nullptr;
  cudaEvent_t reached_ = nullptr;  // by the main stream
};

}  // namespace srpo::cuda
