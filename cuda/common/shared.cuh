// Shared memory: one dynamic block a launch, its size in the launch's `shared`; what lies where is
// said by a struct, or by offsets. It begins as NaN when emulated.
#pragma once
#include "cuda/common/target.cuh"

namespace srpo::cuda {

constexpr int kMostShared = 232448;  // bytes a block may have on Hopper: 227 KiB

#ifdef __CUDACC__

SRPO_DEVICE unsigned char* shared_base() {
  extern __shared__ __align__(1024) unsigned char srpo_shared[];
  return srpo_shared;
}

/// 64 floats of static shared memory, for cuda/common's own reductions.
SRPO_DEVICE float* reduction_scratch() {
  __shared__ __align__(8) float scratch[64];
  return scratch;
}

#else

SRPO_DEVICE unsigned char* shared_base() {
  return emulation::current->block->shared;
}

SRPO_DEVICE float* reduction_scratch() {
  return reinterpret_cast<float*>(emulation::current->block->scratch);
}

#endif

/// The launch's shared memory as a struct of arrays.
template <typename T>
SRPO_DEVICE T& shared_memory() {
  return *reinterpret_cast<T*>(shared_base());
}

/// The launch's shared memory from `bytes` on as an array, for sizes known at run time only.
template <typename T>
SRPO_DEVICE T* shared_array(int bytes = 0) {
  return reinterpret_cast<T*>(shared_base() + bytes);
}

}  // namespace srpo::cuda
