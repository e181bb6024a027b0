#include <cstdlib>
#include <cstring>

#include "cuda/common/launch_config.h"
#include "cuda/runtime/check.h"

namespace srpo::cuda {
namespace {

/// Whether kernels begin before the one before them has ended; SRPO_EARLY=0 tells what that is worth.
bool early_is_wanted() {
  static const bool wanted = [] {
    const char* text = std::getenv("SRPO_EARLY");
    return text == nullptr || std::strcmp(text, "0") != 0;
  }();
  return wanted;
}

}  // namespace

void launch_kernel(const void* kernel, const LaunchConfig& config, void** parameters) {
  check_grid(config.grid);
  // First of all: it makes the stream's card the one that the calls below mean.
  const auto [native, overlaps] = config.stream.kernel_place();
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
  if (config.early && !config.together && overlaps && early_is_wanted()) {
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
  how.stream = static_cast<cudaStream_t>(native);
  how.attrs = attributes;
  how.numAttrs = count;
  CUDA_CHECK(cudaLaunchKernelExC(&how, kernel, parameters));
}

}  // namespace srpo::cuda
