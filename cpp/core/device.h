#pragma once
#include <cstdint>
#include <string>

namespace srpo {

enum class DeviceKind : uint8_t { kCpu, kEmulated, kCuda };
constexpr int kDeviceKinds = 3;

struct Device {
  DeviceKind kind = DeviceKind::kCpu;
  uint8_t index = 0;  // of the GPU; 0 elsewhere
  bool operator==(const Device&) const = default;
};

inline std::string name_of(Device device) {
  switch (device.kind) {
    case DeviceKind::kCpu:
      return "cpu";
    case DeviceKind::kEmulated:
      return "emulated";
    case DeviceKind::kCuda:
      return "cuda:" + std::to_string(device.index);
  }
  return "?";
}

}  // namespace srpo
