// Memory of a card. Where the driver has pools, as on Linux it does, it gives and takes memory in the stream's
// order, without waiting, and joins what is free to larger pieces: only small blocks are kept in classes of size
// above it. Elsewhere everything is kept, and what goes back waits for the card.
#pragma once
#include <cuda_runtime.h>

#include <mutex>

#include "cpp/core/pool.h"

namespace srpo::cuda {

class CudaStream;

class DeviceMemory : public MemorySource {
 public:
  static constexpr size_t kMostKept = size_t{1} << 20;

  /// @param reuses the driver has pools
  DeviceMemory(CudaStream& stream, Device device, bool reuses)
      : stream_(stream), device_(device), reuses_(reuses) {}
  void* allocate(size_t bytes) override;
  void release(void* pointer, size_t bytes) override;
  Left left() override;
  void shrink() override;

 private:
  cudaStream_t open();

  CudaStream& stream_;
  Device device_;
  const bool reuses_;
  std::once_flag opened_;
  cudaMemPool_t pool_ = nullptr;
};

}  // namespace srpo::cuda
