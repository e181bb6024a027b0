// The tensor cores a warpgroup (128 threads) at a time: d [64, N] += a [64, 16] b [16, N], bfloat16 with
// float sums, b and mostly a read from shared memory by descriptor, in the background.
//
//   wgmma_fence();  for each step of 16 along K: wgmma<N>(d, descriptor_of(a), descriptor_of(b));
//   wgmma_commit();  wgmma_wait<0>();  only then: read d, release the shared memory it came from.
//   Where ordinary code follows that the compiler might move: wgmma_hold(d), behind the wait.
//
// d in thread t of the warpgroup, w = t / 32, g = t % 32 / 4, c = 2 (t % 4):
//   d[4 j], d[4 j + 1]      row 16 w + g,      columns 8 j + c, 8 j + c + 1
//   d[4 j + 2], d[4 j + 3]  row 16 w + g + 8,  the same columns
// a in registers is a warp's 16 x 16 part as matrix.cuh has it.
// Source: PTX ISA 8.7, section 9.7.15.
#pragma once
#include "cuda/common/async_copy.cuh"

namespace srpo::cuda {

/// Which way an operand lies in shared memory: K its dense direction, or M (N).
enum class Major : int { kK = 0, kMN = 1 };

/// An operand under the 128-byte swizzle, its rows of 128 bytes = 64 elements, its tile aligned to 1024 bytes.
///   kK:   row r = 64 elements along K; groups of 8 rows `group_bytes` apart (1024 where the tile is
///         64 wide). A step of 16 along K is 32 bytes further.
///   kMN:  row k = 64 elements along M; groups of 8 k `group_bytes` apart, further 64-wide parts of M
///         `part_bytes` apart. A step of 16 along K is 2 group_bytes further.
SRPO_DEVICE uint64_t wgmma_descriptor(const void* shared, int group_bytes = 1024,
                                      int part_bytes = 16) {
#ifdef __CUDACC__
  const uint64_t at = shared_address(shared);
#else
  const uint64_t at = emulation::shared_offset(shared, 16, "wgmma_descriptor");
#endif
  return (at & 0x3ffff) >> 4 | uint64_t(part_bytes >> 4) << 16 | uint64_t(group_bytes >> 4) << 32 |
         uint64_t{1} << 62;
}

#ifdef __CUDACC__

SRPO_DEVICE void wgmma_fence() {
  asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
}
SRPO_DEVICE void wgmma_commit() {
  asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
}
template <int N>
SRPO_DEVICE void wgmma_wait() {
  asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(N) : "memory");
}

template <size_t N>
SRPO_DEVICE void wgmma_hold(float (&d)[N]) {
#pragma unroll
  for (size_t i = 0; i < N; ++i) asm volatile("" : "+f"(d[i])::"memory");
}

template <int N, Major kA = Major::kK, Major kB = Major::kK>
SRPO_DEVICE void wgmma(float (&d)[N / 2], uint64_t a, uint64_t b, bool accumulate = true);
template <int N, Major kB = Major::kK>
SRPO_DEVICE void wgmma(float (&d)[N / 2], const unsigned (&a)[4], uint64_t b,
                       bool accumulate = true);

#else

/// Before the first product that reads registers which ordinary code has written.
SRPO_DEVICE void wgmma_fence() {}
/// Closes a group of products.
SRPO_DEVICE void wgmma_commit() {
  emulation::wgmma_commit();
}
/// Waits until at most the N latest groups are in flight.
template <int N>
SRPO_DEVICE void wgmma_wait() {
  emulation::wgmma_wait(N);
}

/// No use of these registers moves across: a wait orders memory, not what happens to be in registers.
template <size_t N>
SRPO_DEVICE void wgmma_hold(float (&)[N]) {}

/// d = a b, or d += a b. What d holds is not to be touched before the wait.
template <int N, Major kA = Major::kK, Major kB = Major::kK>
SRPO_DEVICE void wgmma(float (&d)[N / 2], uint64_t a, uint64_t b, bool accumulate = true) {
  emulation::wgmma(d, N, a, nullptr, b, static_cast<int>(kA), static_cast<int>(kB), accumulate);
}
template <int N, Major kB = Major::kK>
SRPO_DEVICE void wgmma(float (&d)[N / 2], const unsigned (&a)[4], uint64_t b,
                       bool accumulate = true) {
  emulation::wgmma(d, N, 0, a, b, 0, static_cast<int>(kB), accumulate);
}

#endif

}  // namespace srpo::cuda

#ifdef __CUDACC__
#include "cuda/common/wgmma_shapes.cuh"
#endif
