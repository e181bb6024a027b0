#include "cuda/runtime/complaints.h"

#include <string>

#include "cuda/runtime/check.h"

namespace srpo::cuda {

int64_t* Complaints::take() {
  const std::lock_guard lock(mutex_);
  if (free_.empty()) {
    constexpr int kWords = 512;
    void* memory = nullptr;
    CUDA_CHECK(cudaHostAlloc(&memory, kWords * sizeof(int64_t), cudaHostAllocMapped));
    void* mapped = nullptr;
    CUDA_CHECK(cudaHostGetDevicePointer(&mapped, memory, 0));
    if (mapped != memory)
      throw Error("ERR_CUDA", "complaint: expected one address for host and card, got two");
    for (int i = kWords - 1; i >= 0; --i) free_.push_back(static_cast<int64_t*>(memory) + i);
  }
  int64_t* word = free_.back();
  free_.pop_back();
  *word = 0;
  return word;
}

std::exception_ptr Complaints::settle(const std::vector<Heeded>& all) {
  std::exception_ptr first;
  for (const Heeded& each : all) {
    const int64_t said = *const_cast<volatile int64_t*>(each.word);
    if (first || said == 0 || !each.refuse) continue;
    try {
      each.refuse(said);
    } catch (const Error& error) {
      const std::string prefix = std::string(each.op) + ": ", message = error.what();
      const bool named = message.rfind(prefix, 0) == 0;
      first = std::make_exception_ptr(Error(error.code(), named ? message : prefix + message));
    }
  }
  const std::lock_guard lock(mutex_);
  for (const Heeded& each : all) free_.push_back(each.word);
  return first;
}

}  // namespace srpo::cuda
