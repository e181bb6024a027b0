#pragma once
#include <string>

namespace srpo::cuda {

/// Registers cuda:0, cuda:1, ... for the cards of this machine that the kernels are built for (compute
/// capability 9.0). Without a driver or such a card it registers none.
void register_devices();

/// What register_devices found, a line a card, or why there is none.
std::string description();

}  // namespace srpo::cuda
