// Blocks of a cluster: who is who, the barrier among them, each other's shared memory; and hints to the
// hardware that emulation has no use for.
#pragma once
#include "cuda/common/async_copy.cuh"

namespace srpo::cuda {

#ifdef __CUDACC__

SRPO_DEVICE int cluster_rank() {
  unsigned rank;
  asm volatile("mov.u32 %0, %%cluster_ctarank;" : "=r"(rank));
  return static_cast<int>(rank);
}
SRPO_DEVICE int cluster_blocks() {
  unsigned count;
  asm volatile("mov.u32 %0, %%cluster_nctarank;" : "=r"(count));
  return static_cast<int>(count);
}
SRPO_DEVICE void cluster_barrier() {
  __syncwarp();  // aligned: all lanes at one instruction, whatever branch came before
  asm volatile("barrier.cluster.arrive.release.aligned;\nbarrier.cluster.wait.acquire.aligned;" ::
                   : "memory");
}
template <typename T>
SRPO_DEVICE T* map_shared(T* shared, int rank) {
  uint64_t mapped;
  asm volatile("mapa.u64 %0, %1, %2;"
               : "=l"(mapped)
               : "l"(reinterpret_cast<uint64_t>(shared)), "r"(rank));
  return reinterpret_cast<T*>(mapped);
}

template <int kRegisters>
SRPO_DEVICE void give_registers() {
  asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"(kRegisters));
}
template <int kRegisters>
SRPO_DEVICE void take_registers() {
  asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(kRegisters));
}

#else

SRPO_DEVICE int cluster_rank() {
  return static_cast<int>(emulation::current->block->rank);
}
SRPO_DEVICE int cluster_blocks() {
  return static_cast<int>(emulation::current->block->cluster->blocks.size());
}
/// All threads of all blocks of the cluster.
SRPO_DEVICE void cluster_barrier() {
  emulation::cluster_barrier();
}
/// The same place in the shared memory of another block of the cluster, which must not have ended.
template <typename T>
SRPO_DEVICE T* map_shared(T* shared, int rank) {
  return reinterpret_cast<T*>(emulation::map_shared(shared, static_cast<unsigned>(rank)));
}

/// A warpgroup keeps so many registers a thread and gives the rest away, or takes up to so many.
template <int kRegisters>
SRPO_DEVICE void give_registers() {}
template <int kRegisters>
SRPO_DEVICE void take_registers() {}

#endif

}  // namespace srpo::cuda
