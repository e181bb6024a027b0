// Words in the host's memory that kernels may write to: what they will not do with what they find. The host
// looks at them once the work has ended, so that nothing waits for it.
#pragma once
#include <cuda_runtime.h>

#include <cstdint>
#include <exception>
#include <functional>
#include <mutex>
#include <vector>

namespace srpo::cuda {

/// A word that a kernel may have set, and what it means.
struct Heeded {
  const char* op;
  int64_t* word;
  std::function<void(int64_t)> refuse;  // throws; none: the word is only given back
};

class Complaints {
 public:
  /// A word that is 0, mapped: the card's address and the host's are the same.
  int64_t* take();
  /// After the work has ended: the first complaint as an error under its op's name, and the words back.
  std::exception_ptr settle(const std::vector<Heeded>& all);

 private:
  std::mutex mutex_;
  std::vector<int64_t*> free_;
};

}  // namespace srpo::cuda
