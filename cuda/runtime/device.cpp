#include "cuda/runtime/device.h"

#include <vector>

#include "cpp/core/runtime.h"
#include "cuda/op_table.h"
#include "cuda/runtime/check.h"
#include "cuda/runtime/stream.h"

namespace srpo::cuda {
namespace {

std::string& found() {
  static std::string text;
  return text;
}

class DeviceMemory : public MemorySource {
 public:
  explicit DeviceMemory(int index) : index_(index) {}
  void* allocate(size_t bytes) override {
    void* pointer = nullptr;
    if (cudaSetDevice(index_) == cudaSuccess && cudaMalloc(&pointer, bytes) == cudaSuccess)
      return pointer;
    cudaGetLastError();  // no memory is no lasting error
    return nullptr;
  }
  void release(void* pointer, size_t) override {
    cudaSetDevice(index_);
    cudaFree(pointer);  // waits for the device
  }

 private:
  int index_;
};

std::vector<CudaStream*>& streams() {
  static auto& all = *new std::vector<CudaStream*>;
  return all;
}

}  // namespace

void register_devices() {
  int count = 0;
  const cudaError_t status = cudaGetDeviceCount(&count);
  if (status != cudaSuccess) {
    cudaGetLastError();
    found() = status == cudaErrorInsufficientDriver
                  ? "no NVIDIA driver"
                  : std::string("none: ") + cudaGetErrorString(status);
    return;
  }
  for (int i = 0; i < count && i < 256; ++i) {
    cudaDeviceProp card;
    if (cudaGetDeviceProperties(&card, i) != cudaSuccess) continue;
    const Device device{DeviceKind::kCuda, static_cast<uint8_t>(i)};
    std::string line = name_of(device) + ": " + card.name + ", " +
                       std::to_string(card.totalGlobalMem >> 20) + " MiB, " +
                       std::to_string(card.multiProcessorCount) + " multiprocessors";
    if (card.major == 9 && card.minor == 0) {
      auto* memory = new DeviceMemory(i);
      auto* pool = new Pool(device, *memory);
      auto* stream = new CudaStream(device, *pool);
      streams().push_back(stream);
      register_backend(device,
                       {.stream = stream, .pool = pool, .table = &op_table(), .shut_down = [] {
                          for (CudaStream* each : streams()) each->stop();
                        }});
    } else {
      line += ": expected compute capability 9.0 (Hopper), got " + std::to_string(card.major) +
              "." + std::to_string(card.minor);
    }
    found() += (found().empty() ? "" : "\n") + line;
  }
}

std::string description() {
  return found();
}

}  // namespace srpo::cuda
