#pragma once
#include <array>
#include <memory>
#include <string>

#include "cpp/comm/engine.h"

namespace srpo::comm {

using NcclId = std::array<char, 128>;

/// "2.30.7, libnccl.so.2"; opens the library at `path`, or the one that the loader finds if that is empty.
///
/// @throws Error ERR_NCCL: what was tried, or that it is too old
std::string nccl_version(const std::string& path);

/// What rank 0 makes and all others are told.
NcclId nccl_id(const std::string& path);

/// Meets the other ranks; blocks until all have come. The device's GPU becomes the calling thread's.
std::shared_ptr<Engine> open_nccl(const std::string& path, Device device, int rank, int size,
                                  const NcclId& id);

}  // namespace srpo::comm
