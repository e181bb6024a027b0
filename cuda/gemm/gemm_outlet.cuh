// From a consumer's registers to memory: 64 rows and 32 columns at a time, by way of shared memory and the
// copy engine. What lies outside of the output is cut off there.
//
// A thread's values v of them: v[4 j], v[4 j + 1] in row g, columns 8 j + c, 8 j + c + 1; v[4 j + 2] and
// v[4 j + 3] in row g + 8 (wgmma.cuh).
#pragma once
#include "cuda/common/dtype.cuh"
#include "cuda/common/matrix.cuh"
#include "cuda/common/tma.cuh"
#include "cuda/gemm/gemm_parts.cuh"

namespace srpo::cuda {

constexpr int kWide = 32;              // columns
constexpr int kHalf = kPartBytes / 2;  // of a buffer: results in bfloat16, and behind them pre

/// The first row that this thread has values of, and the first column of them.
SRPO_DEVICE int own_row(int thread) {
  return thread / kWarp * 16 + thread % kWarp / 4;
}
SRPO_DEVICE int own_column(int thread) {
  return thread % 4 * 2;
}

/// The buffers of a consumer, one after the other.
template <typename Tile>
struct GemmOutlet {
  int taken = 0;
  static_assert((Tile::kBuffers & (Tile::kBuffers - 1)) == 0);

  static SRPO_DEVICE auto& shared() { return shared_memory<GemmShared<Tile>>(); }
  /// The thread that talks to the copy engine.
  static SRPO_DEVICE bool leads() { return consumer_thread() == 0; }

  /// A buffer that has been read; all threads of the warpgroup come.
  SRPO_DEVICE unsigned char* take() {
    if (leads()) bulk_wait_read<Tile::kBuffers - 1>();
    consumer_barrier();
    return shared().out[own_consumer()][taken++ % Tile::kBuffers];
  }
  /// Fills the first half of the buffer just taken; all of them or none.
  static SRPO_DEVICE void fetch(unsigned char* buffer, const TensorMap& map, Coordinates<3> at) {
    if (!leads()) return;
    auto& fetched = shared().fetched[own_consumer()];
    mbarrier_arrive_expect(fetched, kHalf);
    tma_load(buffer, map, fetched, at);
  }
  SRPO_DEVICE void wait_for_fetched() const {
    mbarrier_wait(shared().fetched[own_consumer()], static_cast<unsigned>(taken - 1) & 1);
  }
  /// What all threads have written may be read by the copy engine, which the leader starts then.
  static SRPO_DEVICE void ready() {
    fence_async();
    consumer_barrier();
  }
};

/// Columns 16 j.. of a warp's 16 rows, in rows of 64 bytes under the 64-byte swizzle: what this lane names
/// to load_matrices and store_matrices.
SRPO_DEVICE unsigned char* block_at(unsigned char* buffer, int j) {
  const int thread = consumer_thread();
  const int row = thread / kWarp * 16 + thread % 16, piece = 2 * j + thread % kWarp / 16;
  return buffer + row * 64 + ((piece ^ (row / 2 % 4)) << 4);
}

SRPO_DEVICE void put_bfloat16(unsigned char* buffer, const float (&v)[16]) {
#pragma unroll
  for (int j = 0; j < 2; ++j) {
    const float* const w = v + 8 * j;
    const unsigned r[4] = {pack_bfloat16(w[0], w[1]), pack_bfloat16(w[2], w[3]),
                           pack_bfloat16(w[4], w[5]), pack_bfloat16(w[6], w[7])};
    store_matrices(block_at(buffer, j), r);
  }
}

SRPO_DEVICE void add_bfloat16(float (&v)[16], unsigned char* buffer) {
#pragma unroll
  for (int j = 0; j < 2; ++j) {
    unsigned r[4];
    load_matrices(r, block_at(buffer, j));
#pragma unroll
    for (int i = 0; i < 8; ++i) v[8 * j + i] += unpack_bfloat16(r[i / 2], i % 2);
  }
}

/// In rows of 128 bytes under the 128-byte swizzle.
SRPO_DEVICE void put_float(unsigned char* buffer, const float (&v)[16]) {
  const int thread = consumer_thread(), first = own_row(thread), column = own_column(thread);
#pragma unroll
  for (int j = 0; j < 4; ++j)
#pragma unroll
    for (int h = 0; h < 2; ++h) {
      const int row = first + 8 * h, piece = 2 * j + column / 4;
      auto* to = reinterpret_cast<float*>(buffer + row * 128 + ((piece ^ (row % 8)) << 4));
      store_pack<2>(to + column % 4, {v[4 * j + 2 * h], v[4 * j + 2 * h + 1]});
    }
}

}  // namespace srpo::cuda
