#include "cuda/common/launch.cuh"
#include "cuda/common/shared.cuh"
#include "cuda/runtime/check.h"

namespace srpo::cuda {

void launch_kernel(const void* kernel, const LaunchConfig& config, void** parameters) {
  check_grid(config.grid);
  // First of all: it makes the stream's card the one that the calls below mean.
  const auto stream = static_cast<cudaStream_t>(config.stream.native());
  constexpr size_t kWithoutAsking = 47 << 10;  // 48 KiB, with what a kernel has of static memory
  if (config.shared > kWithoutAsking)
    CUDA_CHECK(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                    static_cast<int>(config.shared)));
  const auto extent = [](const Extent& e) {
    return dim3(static_cast<unsigned>(e.x), static_cast<unsigned>(e.y), static_cast<unsigned>(e.z));
  };
  cudaLaunchAttribute attributes[3];
  unsigned count = 0;
  if (config.cluster.x * config.cluster.y * config.cluster.z > 1) {
    attributes[count].id = cudaLaunchAttributeClusterDimension;
    attributes[count++].val.clusterDim = {static_cast<unsigned>(config.cluster.x),
                                          static_cast<unsigned>(config.cluster.y),
                                          static_cast<unsigned>(config.cluster.z)};
  }
  if (config.early) {
    attributes[count].id = cudaLaunchAttributeProgrammaticStreamSerialization;
    attributes[count++].val.programmaticStreamSerializationAllowed = 1;
  }
  if (config.together) {
    attributes[count].id = cudaLaunchAttributeCooperative;
    attributes[count++].val.cooperative = 1;
  }
  cudaLaunchConfig_t how = {};
  how.gridDim = extent(config.grid);
  how.blockDim = extent(config.block);
  how.dynamicSmemBytes = config.shared;
  how.stream = stream;
  how.attrs = attributes;
  how.numAttrs = count;
  CUDA_CHECK(cudaLaunchKernelExC(&how, kernel, parameters));
}

}  // namespace srpo::cuda
