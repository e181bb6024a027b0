// What goes on in the background of an emulated block: copies, barriers that count them, products of the
// tensor cores. Each ends as late as the rules allow, or some random steps later, and what it will write is
// NaN until then.
#pragma once
#include <string>

#include "cpp/core/dtype.h"
#include "cuda/emulation/grid.h"

namespace srpo::emulation {

/// A thread has ended: fails if it left work that nobody waited for.
void async_finish(Thread& thread);
/// A block has ended: its mbarriers are forgotten.
void async_end(Block& block);
/// Which mbarrier, which phase: what a waiting thread waits for; empty if it says all already.
std::string async_text(const Thread& thread);

void copy_async(void* shared, const void* global, bool inside);
void copy_commit();
void copy_wait(int groups);

void load_matrices(unsigned (&r)[4], const void* row, bool transposed);
void store_matrices(void* row, const unsigned (&r)[4], bool transposed);
void multiply_add(float (&d)[4], const unsigned (&a)[4], const unsigned (&b)[2]);

void mbarrier_init(void* barrier, int arrivals);
void mbarrier_arrive(void* barrier, int bytes);
void mbarrier_arrive_remote(void* barrier, unsigned rank);
void mbarrier_wait(void* barrier, unsigned parity);

/// What tensor_map made.
struct TensorMap {
  char* data;
  int rank;
  DType dtype;
  int swizzle;
  int64_t sizes[5], strides[5];
  int box[5];
};
/// Into this block, or into those of the cluster that have a bit in `blocks`.
void tma_load(void* shared, const TensorMap& map, void* full, int rank, const int* at,
              unsigned blocks);
void tma_store(const TensorMap& map, const void* shared, int rank, const int* at, bool adds);
void bulk_load(void* shared, const void* global, int bytes, void* full);
void bulk_store(void* global, const void* shared, int bytes);
void bulk_add(float* global, const float* shared, int bytes);
void bulk_commit();
void bulk_wait_read(int groups);
void bulk_wait(int groups);

void cluster_barrier();
void* map_shared(void* shared, unsigned rank);

void wgmma(float* d, int n, uint64_t a, const unsigned* registers, uint64_t b, int major_a,
           int major_b, bool accumulate);
void wgmma_commit();
void wgmma_wait(int groups);

}  // namespace srpo::emulation
