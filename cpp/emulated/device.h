#pragma once
#include <cstdint>
#include <string>

namespace srpo::emulated {

/// Registers the emulated device: host memory, a queue on a thread of its own, and the cuda column as
/// compiled for the host in the library at `path`. Once it is there, does nothing. Throws ERR_ADDON.
void open_device(const std::string& path);

/// Draws other schedules from here on; between two pieces of work.
void set_seed(uint64_t seed);

}  // namespace srpo::emulated
