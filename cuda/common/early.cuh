// Programmatic dependent launch: every kernel, unless its blocks run `together`, begins while the one before it on
// the stream still runs, and may set up what is its own until it waits.
//
//   __global__ void kernel(...) {
//     wait_for_earlier_kernel();  // first, unless barriers are set up before it
//     ...
//
// It holds that a kernel begins only when all blocks of the one before have come to this call or ended: so the one
// before that has ended, and no more than two are on the card. cuda/README.md has the rule and why it is enough.
#pragma once
#include "cuda/common/target.cuh"

namespace srpo::cuda {

#ifdef __CUDACC__

SRPO_DEVICE void wait_for_earlier_kernel() {
  // The second lets the blocks of the next kernel have the room that those of this one do not take. Volatile, and
  // a clobber: no load is moved before it.
  asm volatile("griddepcontrol.wait;\ngriddepcontrol.launch_dependents;" ::: "memory");
}

#else

/// Waits until the kernel before has ended and all that it wrote is seen, then lets the next kernel begin. Every
/// thread calls it, or waits at a barrier for one that has, before it touches global memory: reads what the
/// kernel before may have written, or writes what it may still read. At once in a launch that is not early.
SRPO_DEVICE void wait_for_earlier_kernel() {
  emulation::wait_for_earlier();
}

#endif

}  // namespace srpo::cuda
