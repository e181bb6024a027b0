// Barriers in shared memory that count arrivals and bytes, a phase after the other. A phase ends when the
// expected arrivals have come and the bytes announced have been copied; a wait names the parity of the phase
// that it waits for: 0, 1, 0, ... A producer that finds its ring empty starts with parity 1: the phase
// before the first counts as ended.
#pragma once
#include "cuda/common/async_copy.cuh"

namespace srpo::cuda {

struct alignas(8) Mbarrier {
  uint64_t state;
};

/// A place in a ring of kStages buffers and the parity of its barriers' phase.
template <int kStages>
struct RingPlace {
  int index = 0;
  unsigned parity;
  SRPO_DEVICE explicit RingPlace(unsigned parity) : parity(parity) {}
  SRPO_DEVICE void advance() {
    if (++index == kStages) {
      index = 0;
      parity ^= 1;
    }
  }
  /// As so many times advance().
  SRPO_DEVICE void skip(int stages) {
    index += stages;
    parity ^= static_cast<unsigned>(index / kStages) & 1;
    index %= kStages;
  }
};

#ifdef __CUDACC__

SRPO_DEVICE void mbarrier_init(Mbarrier& b, int arrivals) {
  asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(shared_address(&b)), "r"(arrivals)
               : "memory");
}
SRPO_DEVICE void mbarrier_init_fence() {
  asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
}
SRPO_DEVICE void mbarrier_arrive(Mbarrier& b) {
  asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(shared_address(&b)) : "memory");
}
SRPO_DEVICE void mbarrier_arrive_expect(Mbarrier& b, int bytes) {
  asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(shared_address(&b)),
               "r"(bytes)
               : "memory");
}
SRPO_DEVICE void mbarrier_arrive_remote(Mbarrier& b, int rank) {
  asm volatile(
      "{\n.reg .b32 remote;\n"
      "mapa.shared::cluster.u32 remote, %0, %1;\n"
      "mbarrier.arrive.release.cluster.shared::cluster.b64 _, [remote];\n}\n" ::"r"(
          shared_address(&b)),
      "r"(rank)
      : "memory");
}
SRPO_DEVICE void mbarrier_wait(Mbarrier& b, unsigned parity) {
  asm volatile(
      "{\n.reg .pred done;\n"
      "again:\n"
      "mbarrier.try_wait.parity.shared::cta.b64 done, [%0], %1;\n"
      "@!done bra again;\n}\n" ::"r"(shared_address(&b)),
      "r"(parity)
      : "memory");
}

#else

/// By one thread, once, before any other may touch it: mbarrier_init_fence, then a block (or cluster)
/// barrier.
SRPO_DEVICE void mbarrier_init(Mbarrier& b, int arrivals) {
  emulation::mbarrier_init(&b, arrivals);
}
SRPO_DEVICE void mbarrier_init_fence() {}
SRPO_DEVICE void mbarrier_arrive(Mbarrier& b) {
  emulation::mbarrier_arrive(&b, 0);
}
/// Announces bytes that copies will bring in this phase, then arrives; before the copies are issued.
SRPO_DEVICE void mbarrier_arrive_expect(Mbarrier& b, int bytes) {
  emulation::mbarrier_arrive(&b, bytes);
}
/// Arrives at the same barrier of another block of the cluster.
SRPO_DEVICE void mbarrier_arrive_remote(Mbarrier& b, int rank) {
  emulation::mbarrier_arrive_remote(&b, static_cast<unsigned>(rank));
}
/// Waits until the phase of this parity has ended.
SRPO_DEVICE void mbarrier_wait(Mbarrier& b, unsigned parity) {
  emulation::mbarrier_wait(&b, parity);
}

#endif

}  // namespace srpo::cuda
