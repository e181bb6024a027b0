#include "cuda/common/multiprocessors.h"

#ifdef __CUDACC__
#include <cuda_runtime.h>

#include <atomic>
#include <string>

#include "cpp/core/error.h"
#endif

namespace srpo::cuda {

#ifdef __CUDACC__

int multiprocessors(Stream& stream) {
  static std::atomic<int> known[256] = {};  // of each card, once asked
  const int card = stream.device().index;
  int count = known[card].load(std::memory_order_relaxed);
  if (count > 0) return count;
  const cudaError_t status = cudaDeviceGetAttribute(&count, cudaDevAttrMultiProcessorCount, card);
  if (status != cudaSuccess)
    throw Error("ERR_CUDA", std::string("multiprocessors: ") + cudaGetErrorString(status));
  known[card].store(count, std::memory_order_relaxed);
  return count;
}

#else

int multiprocessors(Stream&) {
  return 3;
}

#endif

}  // namespace srpo::cuda
