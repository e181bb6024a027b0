// What becomes of a tile's sums where its columns are heads of q, k and v (GemmHeads):
//
//   x = sums + bias,   n = x * rstd * scale,   rstd = 1 / sqrt(mean(x^2) + eps)    q and k, over a head
//   y[2m] = n[2m] * cos[m] - n[2m+1] * sin[m],   y[2m+1] = n[2m+1] * cos[m] + n[2m] * sin[m]
//
// all in float, rounded once. Four lanes hold a row of a head, each of them whole pairs, so that only the
// sum of squares passes between lanes. A warp's 16 rows of a head go by way of shared memory, its own, to
// whole rows of 256 bytes in [B, N, L, 128]: a tile may reach over the end of a sample.
#pragma once
#include "cuda/common/warp.cuh"
#include "cuda/gemm/gemm_outlet.cuh"

namespace srpo::cuda {

/// A thread's values of 64 rows of a head: as in gemm_outlet.cuh, of 128 columns.
using HeadSums = float[kHeadSize / 2];

/// f(two values of one row, their first column in the head, 0 for row g or 1 for g + 8).
template <typename F>
SRPO_DEVICE void for_each_pair(HeadSums& v, const F& f) {
  const int first = own_column(consumer_thread());
#pragma unroll
  for (int j = 0; j < kHeadSize / 8; ++j)
#pragma unroll
    for (int h = 0; h < 2; ++h) f(v[4 * j + 2 * h], v[4 * j + 2 * h + 1], 8 * j + first, h);
}

SRPO_DEVICE void normalise(HeadSums& v, const bfloat16* scale, float eps) {
  float rstd[2] = {};
  for_each_pair(v, [&](float even, float odd, int, int h) { rstd[h] += even * even + odd * odd; });
#pragma unroll
  for (int h = 0; h < 2; ++h) rstd[h] = rsqrtf(warp_sum(rstd[h], 4) / kHeadSize + eps);
  for_each_pair(v, [&](float& even, float& odd, int column, int h) {
    float pair[2];
    load_pack<2>(pair, scale + column);
    even *= rstd[h] * pair[0];
    odd *= rstd[h] * pair[1];
  });
}

/// The pairs of columns 16 j.. of a head; `token` is that of row g and that of row g + 8.
SRPO_DEVICE void turn(float (&w)[8], const GemmHeads& heads, const int (&token)[2], int j) {
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    const int column = 16 * j + i / 2 * 8 + own_column(consumer_thread());
    const int at = token[i % 2] * (kHeadSize / 2) + column / 2;
    const float c = heads.cos[at], s = heads.sin[at], x = w[2 * i];
    w[2 * i] = x * c - w[2 * i + 1] * s;
    w[2 * i + 1] = w[2 * i + 1] * c + x * s;
  }
}

/// 16 bytes of a row of a warp's part of a head; eight rows, or eight places of a row, meet no bank twice.
SRPO_DEVICE unsigned char* head_place(unsigned char* part, int row, int place) {
  return part + row * 2 * kHeadSize + ((place ^ (row % 8)) << 4);
}

/// Rows [row, row + 16) of a head, turned if so, from the registers of a warp to `out`, that head of every
/// sample.
template <typename Tile>
SRPO_DEVICE void store_head(const HeadSums& v, const GemmHeads& heads, bool turned, bfloat16* out,
                            int row, int rows) {
  const int thread = consumer_thread(), own = thread % kWarp;
  int token[2];
#pragma unroll
  for (int h = 0; h < 2; ++h) {
    const int at = row + own / 4 + 8 * h;
    token[h] = heads.offset + (at < rows ? at : rows - 1) % heads.Li;
  }
  unsigned char* const part = shared_memory<GemmShared<Tile>>().out[own_consumer()][0] +
                              thread / kWarp * (16 * 2 * kHeadSize);
  warp_barrier();  // the head before has been read
#pragma unroll
  for (int j = 0; j < kHeadSize / 16; ++j) {
    float w[8];
#pragma unroll
    for (int i = 0; i < 8; ++i) w[i] = v[8 * j + i];
    if (turned) turn(w, heads, token, j);
    const unsigned r[4] = {pack_bfloat16(w[0], w[1]), pack_bfloat16(w[2], w[3]),
                           pack_bfloat16(w[4], w[5]), pack_bfloat16(w[6], w[7])};
    store_matrices(head_place(part, own % 16, 2 * j + own / 16), r);
  }
  warp_barrier();
#pragma unroll 1
  for (int i = 0; i < 8; ++i) {
    const int r = 2 * i + own / 16, at = row + r;
    if (at >= rows) continue;
    const int64_t token = heads.offset + at % heads.Li;
    const int64_t to = int64_t{at / heads.Li} * heads.N * heads.L + token;
    *reinterpret_cast<Pack<bfloat16, 8>*>(out + to * kHeadSize + own % 16 * 8) =
        *reinterpret_cast<const Pack<bfloat16, 8>*>(head_place(part, r, own % 16));
  }
}

/// All of a consumer's sums, whose first lies at `tile`.
template <typename Tile>
SRPO_DEVICE void put_heads(const GemmSums<Tile>& sums, const GemmParameters& p,
                           const Coordinates<3>& tile) {
  constexpr int kHeads = Tile::kN / kHeadSize;
  static_assert(Tile::kN % kHeadSize == 0 && Tile::kBuffers * kPartBytes >= 64 * 2 * kHeadSize);
  const GemmHeads& heads = p.own(tile).heads;
#pragma unroll
  for (int piece = 0; piece < kHeads * Tile::kSubtiles; ++piece) {
    const int column = opaque(tile.at[0]) + piece % kHeads * kHeadSize;
    const int row = opaque(tile.at[1]) + piece / kHeads * 64;
    if (column >= p.N || row >= p.own(tile).M) continue;
    HeadSums v;
#pragma unroll
    for (int k = 0; k < kHeadSize / 2; ++k)
      v[k] = sums[piece / kHeads][piece % kHeads * (kHeadSize / 2) + k];
    if (p.asked().bias != nullptr)
      for_each_pair(v, [&](float& even, float& odd, int at, int) {
        float pair[2];
        load_pack<2>(pair, static_cast<const bfloat16*>(p.own(tile).output.bias) + column + at);
        even += pair[0];
        odd += pair[1];
      });
    const int number = column / kHeadSize, part = number / heads.N;  // 0: q, 1: k, 2: v
    const bfloat16* const scale = part == 0 ? heads.q_scale : part == 1 ? heads.k_scale : nullptr;
    if (scale != nullptr) normalise(v, scale, heads.eps);
    bfloat16* const out = part == 0 ? heads.q : part == 1 ? heads.k : heads.v;
    store_head<Tile>(v, heads, part < 2 && heads.cos != nullptr,
                     out + int64_t{number % heads.N} * heads.L * kHeadSize,
                     row + consumer_thread() / kWarp * 16, p.own(tile).M);
  }
}

}  // namespace srpo::cuda
