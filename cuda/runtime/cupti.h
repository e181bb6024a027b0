// CUPTI's activity records: when each kernel and copy ran by the GPU's own clock. The library is opened when
// a profile asks for it; the toolkit's header is all that a build needs, and a build without it says so.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "cpp/core/timeline.h"

namespace srpo::cuda::cupti {

/// Why there is none; empty if there is.
std::string why_not();
/// Records from now on. Throws ERR_CUDA if CUPTI refuses (another tool holds it).
void begin();
/// What is launched until `pop` belongs to a piece of the stream's work.
void push(int64_t piece);
void pop();
/// The records, in clock_ns(), in the order in which they began. The device must be idle.
std::vector<TimedKernel> end();

}  // namespace srpo::cuda::cupti
