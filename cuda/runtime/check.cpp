#include "cuda/runtime/check.h"

namespace srpo::cuda {

void check(cudaError_t status, const char* call, const char* file, int line) {
  if (status == cudaSuccess) return;
  cudaGetLastError();
  throw Error(status == cudaErrorMemoryAllocation ? "ERR_OUT_OF_MEMORY" : "ERR_CUDA",
              std::string(call) + ": " + cudaGetErrorName(status) + ": " +
                  cudaGetErrorString(status) + " (" + file + ":" + std::to_string(line) + ")");
}

}  // namespace srpo::cuda
