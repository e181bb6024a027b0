#include "cuda/runtime/check.h"

namespace srpo::cuda {

std::string text_of(cudaError_t status) {
  return std::string(cudaGetErrorName(status)) + ": " + cudaGetErrorString(status);
}

void check(cudaError_t status, const char* call, const char* file, int line) {
  if (status == cudaSuccess) return;
  cudaGetLastError();  // what is not lasting must not be told to the next who asks
  throw Error(
      status == cudaErrorMemoryAllocation ? "ERR_OUT_OF_MEMORY" : "ERR_CUDA",
      std::string(call) + ": " + text_of(status) + " (" + file + ":" + std::to_string(line) + ")");
}

}  // namespace srpo::cuda
