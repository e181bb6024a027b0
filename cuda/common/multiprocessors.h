#pragma once
#include "cpp/core/stream.h"

namespace srpo::cuda {

/// How many multiprocessors the card of the stream has: the blocks of a kernel that takes its tiles one
/// after the other. Emulated a few, so that a block has several tiles.
int multiprocessors(Stream& stream);

}  // namespace srpo::cuda
