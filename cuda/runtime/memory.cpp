#include "cuda/runtime/memory.h"

#include <algorithm>

#include "cuda/runtime/check.h"
#include "cuda/runtime/stream.h"

namespace srpo::cuda {

cudaStream_t DeviceMemory::open() {
  cudaStream_t stream = stream_.activate();
  if (reuses_)
    std::call_once(opened_, [this] {
      CUDA_CHECK(cudaDeviceGetDefaultMemPool(&pool_, device_.index));
      // What was freed stays with the process: given back at each wait, it would be asked for again.
      uint64_t keeps = ~uint64_t{0};
      CUDA_CHECK(cudaMemPoolSetAttribute(pool_, cudaMemPoolAttrReleaseThreshold, &keeps));
    });
  return stream;
}

void* DeviceMemory::allocate(size_t bytes) {
  cudaStream_t stream = open();
  void* pointer = nullptr;
  const cudaError_t status =
      reuses_ ? cudaMallocAsync(&pointer, bytes, stream) : cudaMalloc(&pointer, bytes);
  if (status == cudaSuccess) return pointer;
  cudaGetLastError();  // no memory is no lasting error
  if (status == cudaErrorMemoryAllocation) return nullptr;
  throw Error("ERR_CUDA", name_of(device_) + ": no memory: " + text_of(status));
}

void DeviceMemory::release(void* pointer, size_t) {
  try {
    cudaStream_t stream = open();
    if (reuses_) {
      CUDA_CHECK(cudaFreeAsync(pointer, stream));
    } else {
      CUDA_CHECK(cudaStreamSynchronize(stream));
      CUDA_CHECK(cudaFree(pointer));
    }
  } catch (const Error&) {
    // The process ends, or the card is lost: its memory goes with it.
  }
}

MemorySource::Left DeviceMemory::left() {
  Left left{0, 0};
  try {
    open();
    CUDA_CHECK(cudaMemGetInfo(&left.free, &left.total));
    if (reuses_) {
      uint64_t reserved = 0, used = 0;
      CUDA_CHECK(cudaMemPoolGetAttribute(pool_, cudaMemPoolAttrReservedMemCurrent, &reserved));
      CUDA_CHECK(cudaMemPoolGetAttribute(pool_, cudaMemPoolAttrUsedMemCurrent, &used));
      left.free += reserved - std::min(used, reserved);
    }
  } catch (const Error&) {
    // Only told in messages.
  }
  return left;
}

void DeviceMemory::shrink() {
  try {
    open();
    if (reuses_) CUDA_CHECK(cudaMemPoolTrimTo(pool_, 0));
  } catch (const Error&) {
    // What it keeps is used again all the same.
  }
}

}  // namespace srpo::cuda
