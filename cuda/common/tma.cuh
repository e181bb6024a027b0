// The copy engine (TMA): one thread moves whole boxes of a tensor between global and shared memory. Loads
// end on an mbarrier, stores in groups that the thread which issued them waits for.
//
//   mbarrier_arrive_expect(full, kBytes);  tma_load(to, map, full, {column, row});
//   fence_async();  barrier;  one thread: tma_store(map, from, {column, row});  bulk_commit();
//   bulk_wait_read<0>()  before `from` is written again; bulk_wait<0>() before anyone reads the result.
#pragma once
#include "cuda/common/mbarrier.cuh"
#include "cuda/common/tensor_map.h"

namespace srpo::cuda {

/// Where a box begins, the innermost coordinate first.
template <int kRank>
struct Coordinates {
  int at[kRank];
};
template <typename... I>
Coordinates(I...) -> Coordinates<sizeof...(I)>;

#ifdef __CUDACC__

#define SRPO_TMA_LOAD(rank, places, ...)                                                           \
  SRPO_DEVICE void tma_load(void* shared, const TensorMap& map, Mbarrier& full,                    \
                            Coordinates<rank> c) {                                                 \
    asm volatile("cp.async.bulk.tensor." #rank                                                     \
                 "d.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1, {" places       \
                 "}], [%2];" ::"r"(shared_address(shared)),                                        \
                 "l"(&map), "r"(shared_address(&full)), __VA_ARGS__                                \
                 : "memory");                                                                      \
  }                                                                                                \
  SRPO_DEVICE void tma_load_all(void* shared, const TensorMap& map, Mbarrier& full,                \
                                Coordinates<rank> c, int blocks) {                                 \
    asm volatile("{\n.reg .b16 mask;\ncvt.u16.u32 mask, %3;\ncp.async.bulk.tensor." #rank          \
                 "d.shared::cluster.global.mbarrier::complete_tx::bytes.multicast::cluster [%0], " \
                 "[%1, {" SRPO_SHIFT_##rank "}], [%2], mask;\n}\n" ::"r"(shared_address(shared)),  \
                 "l"(&map), "r"(shared_address(&full)), "r"(blocks), __VA_ARGS__                   \
                 : "memory");                                                                      \
  }
#define SRPO_SHIFT_1 "%4"
#define SRPO_SHIFT_2 "%4, %5"
#define SRPO_SHIFT_3 "%4, %5, %6"
#define SRPO_SHIFT_4 "%4, %5, %6, %7"
#define SRPO_SHIFT_5 "%4, %5, %6, %7, %8"
SRPO_TMA_LOAD(1, "%3", "r"(c.at[0]))
SRPO_TMA_LOAD(2, "%3, %4", "r"(c.at[0]), "r"(c.at[1]))
SRPO_TMA_LOAD(3, "%3, %4, %5", "r"(c.at[0]), "r"(c.at[1]), "r"(c.at[2]))
SRPO_TMA_LOAD(4, "%3, %4, %5, %6", "r"(c.at[0]), "r"(c.at[1]), "r"(c.at[2]), "r"(c.at[3]))
SRPO_TMA_LOAD(5, "%3, %4, %5, %6, %7", "r"(c.at[0]), "r"(c.at[1]), "r"(c.at[2]), "r"(c.at[3]),
              "r"(c.at[4]))
#undef SRPO_TMA_LOAD

#define SRPO_TMA_STORE(rank, places, ...)                                                      \
  SRPO_DEVICE void tma_store(const TensorMap& map, const void* shared, Coordinates<rank> c) {  \
    asm volatile("cp.async.bulk.tensor." #rank "d.global.shared::cta.bulk_group [%0, {" places \
                 "}], [%1];" ::"l"(&map),                                                      \
                 "r"(shared_address(shared)), __VA_ARGS__                                      \
                 : "memory");                                                                  \
  }                                                                                            \
  SRPO_DEVICE void tma_add(const TensorMap& map, const void* shared, Coordinates<rank> c) {    \
    asm volatile("cp.reduce.async.bulk.tensor." #rank                                          \
                 "d.global.shared::cta.add.bulk_group [%0, {" places "}], [%1];" ::"l"(&map),  \
                 "r"(shared_address(shared)), __VA_ARGS__                                      \
                 : "memory");                                                                  \
  }
SRPO_TMA_STORE(1, "%2", "r"(c.at[0]))
SRPO_TMA_STORE(2, "%2, %3", "r"(c.at[0]), "r"(c.at[1]))
SRPO_TMA_STORE(3, "%2, %3, %4", "r"(c.at[0]), "r"(c.at[1]), "r"(c.at[2]))
SRPO_TMA_STORE(4, "%2, %3, %4, %5", "r"(c.at[0]), "r"(c.at[1]), "r"(c.at[2]), "r"(c.at[3]))
SRPO_TMA_STORE(5, "%2, %3, %4, %5, %6", "r"(c.at[0]), "r"(c.at[1]), "r"(c.at[2]), "r"(c.at[3]),
               "r"(c.at[4]))
#undef SRPO_TMA_STORE

SRPO_DEVICE void tma_prefetch(const TensorMap& map) {
  asm volatile("prefetch.tensormap [%0];" ::"l"(&map) : "memory");
}

SRPO_DEVICE void bulk_load(void* shared, const void* global, int bytes, Mbarrier& full) {
  asm volatile(
      "cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1], %2, [%3];" ::
          "r"(shared_address(shared)),
      "l"(global), "r"(bytes), "r"(shared_address(&full))
      : "memory");
}

SRPO_DEVICE void bulk_store(void* global, const void* shared, int bytes) {
  asm volatile("cp.async.bulk.global.shared::cta.bulk_group [%0], [%1], %2;" ::"l"(global),
               "r"(shared_address(shared)), "r"(bytes)
               : "memory");
}

SRPO_DEVICE void bulk_add(float* global, const float* shared, int bytes) {
  asm volatile(
      "cp.reduce.async.bulk.global.shared::cta.bulk_group.add.f32 [%0], [%1], %2;" ::"l"(global),
      "r"(shared_address(shared)), "r"(bytes)
      : "memory");
}

SRPO_DEVICE void bulk_commit() {
  asm volatile("cp.async.bulk.commit_group;" ::: "memory");
}
template <int N>
SRPO_DEVICE void bulk_wait_read() {
  asm volatile("cp.async.bulk.wait_group.read %0;" ::"n"(N) : "memory");
}
template <int N>
SRPO_DEVICE void bulk_wait() {
  asm volatile("cp.async.bulk.wait_group %0;" ::"n"(N) : "memory");
}

SRPO_DEVICE void fence_async() {
  asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
}
SRPO_DEVICE void fence_async_global() {
  asm volatile("fence.proxy.async.global;" ::: "memory");
}

#else

/// A box into shared memory (aligned to 128 bytes; to 1024 under the widest swizzle), its bytes counted
/// on `full`.
template <int kRank>
SRPO_DEVICE void tma_load(void* shared, const TensorMap& map, Mbarrier& full,
                          Coordinates<kRank> c) {
  emulation::tma_load(shared, map, &full, kRank, c.at, 0);
}
/// The same into every block of the cluster whose bit is set in `blocks`, at the same place, counted on
/// the same barrier there.
template <int kRank>
SRPO_DEVICE void tma_load_all(void* shared, const TensorMap& map, Mbarrier& full,
                              Coordinates<kRank> c, int blocks) {
  emulation::tma_load(shared, map, &full, kRank, c.at, static_cast<unsigned>(blocks));
}
/// A box from shared memory; what lies outside of the tensor is dropped.
template <int kRank>
SRPO_DEVICE void tma_store(const TensorMap& map, const void* shared, Coordinates<kRank> c) {
  emulation::tma_store(map, shared, kRank, c.at, false);
}
/// Adds a box to what lies there.
template <int kRank>
SRPO_DEVICE void tma_add(const TensorMap& map, const void* shared, Coordinates<kRank> c) {
  emulation::tma_store(map, shared, kRank, c.at, true);
}
SRPO_DEVICE void tma_prefetch(const TensorMap&) {}

/// Neighbouring bytes, a multiple of 16, without a map.
SRPO_DEVICE void bulk_load(void* shared, const void* global, int bytes, Mbarrier& full) {
  emulation::bulk_load(shared, global, bytes, &full);
}
SRPO_DEVICE void bulk_store(void* global, const void* shared, int bytes) {
  emulation::bulk_store(global, shared, bytes);
}
SRPO_DEVICE void bulk_add(float* global, const float* shared, int bytes) {
  emulation::bulk_add(global, shared, bytes);
}

/// Closes this thread's group of stores.
SRPO_DEVICE void bulk_commit() {
  emulation::bulk_commit();
}
/// Waits until all but the N latest groups have read shared memory, or have ended.
template <int N>
SRPO_DEVICE void bulk_wait_read() {
  emulation::bulk_wait_read(N);
}
template <int N>
SRPO_DEVICE void bulk_wait() {
  emulation::bulk_wait(N);
}

/// What this thread has stored in shared (or global) memory is seen by the copy engine and wgmma: before the
/// barrier behind which another thread starts them.
SRPO_DEVICE void fence_async() {}
SRPO_DEVICE void fence_async_global() {}

#endif

}  // namespace srpo::cuda
