#include "cpp/core/runtime.h"

#include <map>
#include <mutex>
#include <utility>

#include "cpp/core/error.h"

namespace srpo {
namespace {

using Key = std::pair<DeviceKind, uint8_t>;

std::mutex backends_mutex;

std::map<Key, Backend>& backends() {
  // Never destroyed: a stream's thread may run until the very end of the process.
  static auto& all = *new std::map<Key, Backend>;
  return all;
}

std::map<DeviceKind, std::string>& notes() {
  static auto& all = *new std::map<DeviceKind, std::string>;
  return all;
}

}  // namespace

void note_devices(DeviceKind kind, const std::string& text) {
  const std::lock_guard lock(backends_mutex);
  notes()[kind] = text;
}

std::string note_of(DeviceKind kind) {
  const std::lock_guard lock(backends_mutex);
  const auto found = notes().find(kind);
  return found == notes().end() ? "" : found->second;
}

void register_backend(Device device, const Backend& backend) {
  const std::lock_guard lock(backends_mutex);
  backends()[{device.kind, device.index}] = backend;
}

bool has_backend(Device device) {
  const std::lock_guard lock(backends_mutex);
  return backends().count({device.kind, device.index}) > 0;
}

const Backend& backend_of(Device device) {
  const std::lock_guard lock(backends_mutex);
  const auto found = backends().find({device.kind, device.index});
  if (found != backends().end()) return found->second;
  std::string there;
  for (const auto& [key, backend] : backends())
    there += (there.empty() ? "" : ", ") + name_of(Device{key.first, key.second});
  const auto note = notes().find(device.kind);
  throw Error("ERR_DEVICE", "device: expected one of " + there + ", got " + name_of(device) +
                                (note == notes().end() ? "" : " (" + note->second + ")"));
}

namespace {

std::mutex environments_mutex;
int environments = 0;

}  // namespace

void enter_environment() {
  const std::lock_guard lock(environments_mutex);
  ++environments;
}

bool leave_environment() {
  const std::lock_guard lock(environments_mutex);
  for (const auto& [key, backend] : backends()) backend.stream->leave();
  if (--environments > 0) return false;
  for (const auto& [key, backend] : backends())
    if (backend.shut_down != nullptr) backend.shut_down();
  return true;
}

}  // namespace srpo
