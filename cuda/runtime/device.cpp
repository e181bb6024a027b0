#include "cuda/runtime/device.h"

#include <vector>

#include "cpp/core/runtime.h"
#include "cuda/op_table.h"
#include "cuda/runtime/check.h"
#include "cuda/runtime/memory.h"
#include "cuda/runtime/stream.h"

namespace srpo::cuda {
namespace {

std::string& found() {
  static std::string text;
  return text;
}

std::vector<CudaStream*>& streams() {
  static auto& all = *new std::vector<CudaStream*>;
  return all;
}

std::string version_text(int version) {
  return std::to_string(version / 1000) + "." + std::to_string(version % 1000 / 10);
}

/// Why the runtime finds no card.
std::string why_none(cudaError_t status) {
  int driver = 0;
  if (status == cudaErrorInsufficientDriver) {
    if (cudaDriverGetVersion(&driver) != cudaSuccess || driver == 0) return "no NVIDIA driver";
    return "an NVIDIA driver for CUDA " + version_text(driver) + ": expected one for CUDA " +
           version_text(CUDART_VERSION) + " or newer";
  }
  if (status == cudaErrorNoDevice) return "no NVIDIA card, or none in CUDA_VISIBLE_DEVICES";
  return "none: " + text_of(status);
}

// Never destroyed: a finalizer that runs while the process ends may still free a tensor.
void register_card(Device device, bool reuses) {
  auto* stream = new CudaStream(device);
  auto* memory = new DeviceMemory(*stream, device, reuses);
  auto* pool = new Pool(device, *memory, reuses ? DeviceMemory::kMostKept : kNoLimit);
  stream->use(*pool);
  streams().push_back(stream);
  register_backend(device, {.stream = stream, .pool = pool, .table = &op_table(), .shut_down = [] {
                              for (CudaStream* each : streams()) each->stop();
                            }});
}

}  // namespace

void register_devices() {
  int count = 0;
  const cudaError_t status = cudaGetDeviceCount(&count);
  if (status != cudaSuccess) {
    cudaGetLastError();
    found() = why_none(status);
    return;
  }
  for (int i = 0; i < count && i < 256; ++i) {
    cudaDeviceProp card;
    const Device device{DeviceKind::kCuda, static_cast<uint8_t>(i)};
    const cudaError_t asked = cudaGetDeviceProperties(&card, i);
    std::string line = name_of(device) + ": ";
    if (asked != cudaSuccess) {
      cudaGetLastError();
      line += text_of(asked);
    } else {
      const std::string capability = std::to_string(card.major) + "." + std::to_string(card.minor);
      line += std::string(card.name) + ", " + std::to_string(card.totalGlobalMem >> 20) + " MiB, " +
              std::to_string(card.multiProcessorCount) + " multiprocessors";
      if (card.major == 9 && card.minor == 0)
        register_card(device, card.memoryPoolsSupported != 0);
      else
        line += "; not supported: expected compute capability 9.0 (Hopper: H20, H100, H200), got " +
                capability;
    }
    found() += (found().empty() ? "" : "\n") + line;
  }
}

std::string description() {
  return found();
}

}  // namespace srpo::cuda
