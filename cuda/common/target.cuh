// CUDA's words, for whichever compiler reads this: nvcc, or g++ for the emulated device.
#pragma once
#include <cmath>
#include <cstdint>

#include "cpp/core/dtype.h"

#ifdef __CUDACC__

#include <cuda_runtime.h>

#define SRPO_DEVICE __device__ __forceinline__

#else

#include "cuda/emulation/grid.h"

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline __attribute__((always_inline))
#define __launch_bounds__(...)
#define __grid_constant__
#define SRPO_DEVICE inline

#define threadIdx (::srpo::emulation::current->index)
#define blockIdx (::srpo::emulation::current->block->index)
#define blockDim (::srpo::emulation::launched.block)
#define gridDim (::srpo::emulation::launched.grid)

#endif

namespace srpo::cuda {

constexpr int kWarp = 32;

template <typename A, typename B>
SRPO_HOST_DEVICE constexpr int64_t ceil_div(A a, B b) {
  return (static_cast<int64_t>(a) + static_cast<int64_t>(b) - 1) / static_cast<int64_t>(b);
}

/// The same number, of which the compiler knows nothing: what follows from it is computed where it is
/// used, and takes no registers from there to the next use.
SRPO_DEVICE int opaque(int value) {
#ifdef __CUDACC__
  asm volatile("" : "+r"(value));
#endif
  return value;
}

/// This thread's number in its block, counted along x first.
SRPO_DEVICE int thread_rank() {
  return static_cast<int>(threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z));
}
SRPO_DEVICE int block_threads() {
  return static_cast<int>(blockDim.x * blockDim.y * blockDim.z);
}
/// This thread's lane in its warp, and the warp's number in its block.
SRPO_DEVICE int lane() {
  return thread_rank() % kWarp;
}
SRPO_DEVICE int warp() {
  return thread_rank() / kWarp;
}

}  // namespace srpo::cuda
