#include "cuda/runtime/side_stream.h"

#include "cuda/runtime/check.h"
#include "cuda/runtime/stream.h"

namespace srpo::cuda {
namespace {

[[noreturn]] void refuse(const char* what) {
  throw Error("ERR_INTERNAL", std::string(what) + ": not of work beside a stream");
}

}  // namespace

Device SideStream::device() const {
  return main_.device();
}

cudaStream_t SideStream::activate() {
  main_.activate();
  std::call_once(made_, [this] {
    int least = 0, greatest = 0;
    CUDA_CHECK(cudaDeviceGetStreamPriorityRange(&least, &greatest));
    CUDA_CHECK(cudaEventCreateWithFlags(&reached_, cudaEventDisableTiming));
    cudaStream_t made;
    CUDA_CHECK(cudaStreamCreateWithPriority(&made, cudaStreamNonBlocking, greatest));
    stream_ = made;
  });
  return stream_;
}

void SideStream::follow() {
  const cudaStream_t own = activate();
  CUDA_CHECK(cudaEventRecord(reached_, main_.activate()));
  // It waits for this record: the next one does not change that.
  CUDA_CHECK(cudaStreamWaitEvent(own, reached_, 0));
}

void SideStream::drain() {
  if (stream_ != nullptr) cudaStreamSynchronize(stream_);
}

void SideStream::copy(void* to, const void* from, size_t bytes) {
  CUDA_CHECK(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice, activate()));
}

void SideStream::zero(void* device, size_t bytes) {
  CUDA_CHECK(cudaMemsetAsync(device, 0, bytes, activate()));
}

void* SideStream::scratch(size_t bytes, const void* contents) {
  // Memory comes in the main stream's order, and so do its contents.
  void* const memory = main_.scratch(bytes, contents);
  follow();
  return memory;
}

void SideStream::when_done(std::function<void(std::exception_ptr)>) {
  refuse("when_done");
}
void SideStream::copy_to_host(void*, const void*, size_t) {
  refuse("copy_to_host");
}
void SideStream::copy_from_host(void*, const void*, size_t) {
  refuse("copy_from_host");
}
int64_t* SideStream::complaint() {
  refuse("complaint");
}

}  // namespace srpo::cuda
