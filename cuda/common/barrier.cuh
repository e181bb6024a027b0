// Barriers among threads of a block.
#pragma once
#include "cuda/common/target.cuh"

namespace srpo::cuda {

#ifdef __CUDACC__

SRPO_DEVICE void block_barrier() {
  __syncthreads();
}

SRPO_DEVICE void warp_barrier() {
  __syncwarp();
}

SRPO_DEVICE void barrier_sync(int id, int threads) {
  __syncwarp();  // aligned: all lanes at one instruction, whatever branch came before
  asm volatile("barrier.cta.sync.aligned %0, %1;" ::"r"(id), "r"(threads) : "memory");
}

SRPO_DEVICE void barrier_arrive(int id, int threads) {
  __syncwarp();
  asm volatile("barrier.cta.arrive.aligned %0, %1;" ::"r"(id), "r"(threads) : "memory");
}

SRPO_DEVICE void block_fence() {
  __threadfence_block();
}

SRPO_DEVICE void device_fence() {
  __threadfence();
}

#else

/// All threads of the block that have not ended.
SRPO_DEVICE void block_barrier() {
  emulation::block_barrier();
}

/// The 32 threads of the warp; also orders their memory accesses.
SRPO_DEVICE void warp_barrier() {
  int nothing = 0;
  emulation::meet_warp("warp_barrier", nothing, nullptr);
}

/// Waits until `threads` threads (whole warps) have come to barrier `id`, 1 to 15, by sync or arrive.
SRPO_DEVICE void barrier_sync(int id, int threads) {
  emulation::barrier_sync(static_cast<unsigned>(id), static_cast<unsigned>(threads));
}

/// Counts this thread in and goes on.
SRPO_DEVICE void barrier_arrive(int id, int threads) {
  emulation::barrier_arrive(static_cast<unsigned>(id), static_cast<unsigned>(threads));
}

/// What this thread has written is seen by its block, or by the device, before what it writes next.
SRPO_DEVICE void block_fence() {}
SRPO_DEVICE void device_fence() {}

#endif

}  // namespace srpo::cuda
