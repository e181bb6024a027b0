// What goes on in the background of an emulated block.
#pragma once
#include <string>

#include "cuda/emulation/grid.h"

namespace srpo::emulation {

/// A thread has ended: fails if it left work that nobody waited for.
void async_finish(Thread& thread);
/// A block has ended: its mbarriers are forgotten.
void async_end(Block& block);
/// Which mbarrier, which phase: what a waiting thread waits for; empty if it says all already.
std::string async_text(const Thread& thread);

}  // namespace srpo::emulation
