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
constexpr int kHalf = kPartBytes / 2;  // of a buffer: what bfloat16 takes; pre lies behind it

/// The first row that this thread has values of, and the first column of them.
SRPO_DEVICE int own_row(int thread) {
  return thread / kWarp * 16 + thread % kWarp / 4;
}
SRPO_DEVICE int own_column(int thread) {
  return thread % 4 * 2;
}

/// The buffers of a consumer, one after the other: whole ones, or halves where a half is enough. The
/// residual comes into them ahead of its turn, half of the buffers at a time.
template <typename Tile, Ending kEnding>
struct GemmOutlet {
  static constexpr int kPieces = Tile::kN / kWide;  // of a row of the tile
  static constexpr int kAll = kPieces * Tile::kSubtiles;
  static constexpr bool kJoins = kEnding == Ending::kSlope || kEnding == Ending::kSquares;
  static constexpr bool kMayJoin = kJoins || kEnding == Ending::kJoin || kEnding == Ending::kFinish;
  static constexpr bool kFloat = kEnding == Ending::kAdd || kEnding == Ending::kSquares;
  static_assert((Tile::kBuffers & (Tile::kBuffers - 1)) == 0);

  const GemmParameters& p;
  /// Of one batch: coordinates count the products alone.
  static constexpr bool kOneBatch = kEnding == Ending::kSquares;
  /// Between tiles `taken` lies in shared memory, but for an ending that has no register to fetch it.
  static constexpr bool kKeeps = kEnding != Ending::kSquares;

  int taken = 0;  // since the kernel began

  SRPO_DEVICE static int& kept() {
    return shared_memory<GemmShared<Tile>>().taken[opaque(static_cast<int>(threadIdx.x))];
  }
  SRPO_DEVICE explicit GemmOutlet(const GemmParameters& parameters) : p(parameters) { keep(); }
  SRPO_DEVICE void keep() const {
    if constexpr (kKeeps) kept() = taken;
  }
  SRPO_DEVICE void recall() {
    if constexpr (kKeeps) taken = kept();
  }

  /// The thread that talks to the copy engine.
  static SRPO_DEVICE bool leads() { return consumer_thread() == 0; }
  SRPO_DEVICE bool whole() const {
    return kFloat || (kEnding == Ending::kFinish && p.asked().pre != nullptr);
  }
  /// Of buffers, a power of two.
  SRPO_DEVICE int count() const { return whole() ? Tile::kBuffers : 2 * Tile::kBuffers; }
  SRPO_DEVICE bool joins() const { return kJoins || (kMayJoin && p.asked().residual != nullptr); }
  SRPO_DEVICE unsigned char* buffer(int number) const {
    auto& all = shared_memory<GemmShared<Tile>>().out[own_consumer()];
    return all[0] + (number & (count() - 1)) * (whole() ? kPartBytes : kHalf);
  }
  SRPO_DEVICE Mbarrier& fetched(int number) const {
    return shared_memory<GemmShared<Tile>>().fetched[own_consumer()][number & (count() - 1)];
  }

  /// By the leader: leaves as many copies in flight as there may be while a buffer is used anew.
  SRPO_DEVICE void wait_read() const {
    constexpr int kLess = kMayJoin ? 2 : 1;  // half of them are for what comes in
    if (whole())
      bulk_wait_read<Tile::kBuffers / kLess - 1>();
    else
      bulk_wait_read<2 * Tile::kBuffers / kLess - 1>();
  }
  /// Whether the piece is of the first columns, which go elsewhere as they are; it is never of both.
  SRPO_DEVICE bool is_before(const Coordinates<3>& piece) const {
    return kEnding == Ending::kSlope && piece.at[0] < p.asked().before_columns;
  }
  /// Where a piece that is not lies in the output and in what joins it.
  SRPO_DEVICE Coordinates<3> behind(const Coordinates<3>& piece) const {
    const int first = kEnding == Ending::kSlope ? static_cast<int>(p.asked().before_columns) : 0;
    return {piece.at[0] - first, piece.at[1], piece.at[2]};
  }
  /// By the leader: the residual of piece `piece` of the tile, for the buffer that is its turn's.
  SRPO_DEVICE void fetch(const Coordinates<3>& tile, int piece, int number) const {
    const Coordinates<3> at = piece_at(tile, piece);
    if (is_before(at))
      return mbarrier_arrive(fetched(number));  // nothing comes: the wait for it ends at once
    mbarrier_arrive_expect(fetched(number), kFloat ? kPartBytes : kHalf);
    tma_load(buffer(number), p.own<kOneBatch>(at).residual, fetched(number),
             p.inside<kOneBatch>(behind(at)));
  }
  static SRPO_DEVICE Coordinates<3> piece_at(const Coordinates<3>& tile, int piece) {
    return {opaque(tile.at[0]) + piece % kPieces * kWide, opaque(tile.at[1]) + piece / kPieces * 64,
            opaque(tile.at[2])};
  }

  /// Before the products of a tile: its first residuals come meanwhile.
  SRPO_DEVICE void begin(const Coordinates<3>& tile) const {
    if (!joins() || !leads()) return;
    wait_read();
    for (int piece = 0; piece < count() / 2; ++piece) fetch(tile, piece, taken + piece);
  }
  /// The buffer for a piece; all threads of the warpgroup come.
  SRPO_DEVICE unsigned char* take(const Coordinates<3>& tile, int piece) {
    if (leads()) {
      wait_read();
      const int ahead = count() / 2;
      if (joins() && piece + ahead < kAll) fetch(tile, piece + ahead, taken + ahead);
    }
    consumer_barrier();
    return buffer(taken++);
  }
  /// The residual lies in the buffer taken last.
  SRPO_DEVICE void wait_for_fetched() const {
    mbarrier_wait(fetched(taken - 1), ((taken - 1) & count()) == 0 ? 0 : 1);
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

/// f(a value, what the buffer has in its place), for all of them.
template <typename F>
SRPO_DEVICE void with_bfloat16(float (&v)[16], unsigned char* buffer, const F& f) {
#pragma unroll
  for (int j = 0; j < 2; ++j) {
    unsigned r[4];
    load_matrices(r, block_at(buffer, j));
#pragma unroll
    for (int i = 0; i < 8; ++i) f(v[8 * j + i], unpack_bfloat16(r[i / 2], i % 2));
  }
}

/// f(two neighbours of the values, where they lie in the buffer), for all of them: in rows of 128 bytes under
/// the 128-byte swizzle.
template <typename F>
SRPO_DEVICE void with_float(unsigned char* buffer, float (&v)[16], const F& f) {
  const int thread = consumer_thread(), first = own_row(thread), column = own_column(thread);
#pragma unroll
  for (int j = 0; j < 4; ++j)
#pragma unroll
    for (int h = 0; h < 2; ++h) {
      const int row = first + 8 * h, piece = 2 * j + column / 4;
      auto* at = reinterpret_cast<float*>(buffer + row * 128 + ((piece ^ (row % 8)) << 4));
      f(v[4 * j + 2 * h], v[4 * j + 2 * h + 1], at + column % 4);
    }
}

SRPO_DEVICE void put_float(unsigned char* buffer, float (&v)[16]) {
  with_float(buffer, v, [](float a, float b, float* to) { store_pack<2>(to, {a, b}); });
}

/// v += what the buffer has, which then has v.
SRPO_DEVICE void add_float(unsigned char* buffer, float (&v)[16]) {
  with_float(buffer, v, [](float& a, float& b, float* at) {
    float held[2];
    load_pack<2>(held, at);
    a += held[0];
    b += held[1];
    store_pack<2>(at, {a, b});
  });
}

/// The values as bfloat16 has them.
SRPO_DEVICE void round_to_bfloat16(float (&v)[16]) {
#pragma unroll
  for (int i = 0; i < 16; i += 2) {
    const unsigned pair = pack_bfloat16(v[i], v[i + 1]);
    v[i] = unpack_bfloat16(pair, 0);
    v[i + 1] = unpack_bfloat16(pair, 1);
  }
}

}  // namespace srpo::cuda
