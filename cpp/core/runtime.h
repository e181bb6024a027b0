#pragma once
#include "cpp/core/device.h"
#include "cpp/core/pool.h"
#include "cpp/core/stream.h"

namespace srpo {

struct OpTable;

/// What a device is made of. A device library (cpu, emulated, cuda) makes one and registers it.
struct Backend {
  Stream* stream = nullptr;
  Pool* pool = nullptr;
  const OpTable* table = nullptr;
  void (*shut_down)() = nullptr;  // joins threads; called when the last JavaScript environment ends
  bool poisons = false;           // fresh memory is NaN, and what lies behind a tensor is watched
};

void register_backend(Device device, const Backend& backend);
/// What is known of devices of this kind: what was found, or why there is none.
void note_devices(DeviceKind kind, const std::string& text);
std::string note_of(DeviceKind kind);
/// Throws ERR_DEVICE, saying which devices there are and why not this one, if the device is not there.
const Backend& backend_of(Device device);
bool has_backend(Device device);
/// A JavaScript environment begins (on its thread), or ends: its work is dropped, and the last one
/// joins all threads; leave_environment tells whether it was the last.
void enter_environment();
bool leave_environment();

inline Stream& stream_of(Device device) {
  return *backend_of(device).stream;
}

}  // namespace srpo
