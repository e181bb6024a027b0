// Copies from global to shared memory that a thread issues and waits for later, in groups: cp.async.
//
//   copy_async(to, from, inside);  copy_commit();  ...  copy_wait<1>();  block_barrier();
#pragma once
#include "cuda/common/target.cuh"
#ifndef __CUDACC__
#include "cuda/emulation/async.h"
#endif

namespace srpo::cuda {

#ifdef __CUDACC__

SRPO_DEVICE unsigned shared_address(const void* shared) {
  return static_cast<unsigned>(__cvta_generic_to_shared(shared));
}

SRPO_DEVICE void copy_async(void* shared, const void* global, bool inside = true) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(shared_address(shared)),
               "l"(global), "r"(inside ? 16 : 0)
               : "memory");
}

SRPO_DEVICE void copy_commit() {
  asm volatile("cp.async.commit_group;" ::: "memory");
}

template <int N>
SRPO_DEVICE void copy_wait() {
  asm volatile("cp.async.wait_group %0;" ::"n"(N) : "memory");
}

#else

/// 16 bytes, both sides aligned to them; zeros instead where not `inside`.
SRPO_DEVICE void copy_async(void* shared, const void* global, bool inside = true) {
  emulation::copy_async(shared, global, inside);
}

/// Closes a group of copies.
SRPO_DEVICE void copy_commit() {
  emulation::copy_commit();
}

/// Waits until at most the N latest groups of this thread are in flight.
template <int N>
SRPO_DEVICE void copy_wait() {
  emulation::copy_wait(N);
}

#endif

}  // namespace srpo::cuda
