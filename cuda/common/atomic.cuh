// Atomic operations on global or shared memory. Sums of floats in an order that changes from run to
// run are not what we want: prefer parts that are added up in a fixed order.
#pragma once
#include "cuda/common/target.cuh"

namespace srpo::cuda {

#ifdef __CUDACC__

template <typename T>
SRPO_DEVICE T atomic_add(T* at, T value) {
  return atomicAdd(at, value);
}
SRPO_DEVICE int atomic_max(int* at, int value) {
  return atomicMax(at, value);
}
SRPO_DEVICE unsigned atomic_exchange(unsigned* at, unsigned value) {
  return atomicExch(at, value);
}
SRPO_DEVICE unsigned load_acquire(const unsigned* at) {
  unsigned value;
  asm volatile("ld.acquire.gpu.global.u32 %0, [%1];" : "=r"(value) : "l"(at) : "memory");
  return value;
}
SRPO_DEVICE void store_release(unsigned* at, unsigned value) {
  asm volatile("st.release.gpu.global.u32 [%0], %1;" ::"l"(at), "r"(value) : "memory");
}

#else

/// Each returns what was there before.
template <typename T>
SRPO_DEVICE T atomic_add(T* at, T value) {
  emulation::touch(at, "atomic_add");
  const T before = *at;
  *at = before + value;
  return before;
}
SRPO_DEVICE int atomic_max(int* at, int value) {
  emulation::touch(at, "atomic_max");
  const int before = *at;
  if (value > before) *at = value;
  return before;
}
SRPO_DEVICE unsigned atomic_exchange(unsigned* at, unsigned value) {
  emulation::touch(at, "atomic_exchange");
  const unsigned before = *at;
  *at = value;
  return before;
}

/// What the thread that stored here wrote before is seen after. A loop around it goes through
/// wait_until: only that lets other blocks run when emulated.
SRPO_DEVICE unsigned load_acquire(const unsigned* at) {
  emulation::touch(at, "load_acquire");
  return *at;
}
SRPO_DEVICE void store_release(unsigned* at, unsigned value) {
  emulation::touch(at, "store_release");
  *at = value;
}

#endif

/// Spins until *at is at least `value`.
SRPO_DEVICE void wait_until(const unsigned* at, unsigned value) {
  while (load_acquire(at) < value) {
#ifndef __CUDACC__
    emulation::spin();
#endif
  }
}

}  // namespace srpo::cuda
