// Attention forward on Hopper: out = softmax(scale * q k^T) v, see attention.cu. Heads of 128, bfloat16.
//
//   q    [B, N, Lq, 128]    a tile 128 queries of a head, 64 to each of two warpgroups
//   k, v [B, N, Lk, 128]    by blocks of kKeys rows, from the last, which alone may be ragged, to the first
//   out  [B, Lq, N*128 or more],  lse [B, N, Lq] float
//
// A block of threads stays and takes a tile after the other. Warp 8 has the copy engine fill rings of
// queries, keys and values; the warpgroups make products of what lies there. Two things overlap
// (FlashAttention-3, Shah et al. 2024, sec. 3.1 and 3.2): the groups take turns at the tensor cores, so that one
// does its softmax while the other multiplies; and within a group the product with the next keys is begun
// before that with the values of this block, so that the latter runs during the former's softmax.
// Weights stay in registers. What leaves goes by way of the tile's queries' space.
//
// Bound by the tensor cores: 4 Lq Lk Dh FLOP a head, one exponential per 512 of them.

#include "cuda/attention/attention_sm90.h"

#include <algorithm>

#include "cuda/attention/head_tiles.cuh"
#include "cuda/attention/row_softmax.cuh"
#include "cuda/common/barrier.cuh"
#include "cuda/common/cluster.cuh"
#include "cuda/common/dtype.cuh"
#include "cuda/common/launch.cuh"
#include "cuda/common/multiprocessors.h"
#include "cuda/common/shared.cuh"

namespace srpo::cuda {
namespace {

using namespace attention;

constexpr int kGroups = 2;  // that multiply
constexpr int kThreads = (kGroups + 1) * kGroup;
constexpr int kQueries = kGroups * kGroupRows;
constexpr int kStages = 2;
constexpr int kKeys = 160;  // of a block; 16 or 29 blocks for FLUX's 2537 and 4608
constexpr int kTileBytes = kGroupRows * kHead * 2;  // of a group's queries
constexpr int kBlockBytes = kKeys * kHead * 2;

struct Shared {
  HeadTile<kGroupRows> q[kStages][kGroups];  // in the end the output
  HeadTile<kKeys> k[kStages], v[kStages];
  Mbarrier q_full[kStages], q_empty[kStages];
  Mbarrier k_full[kStages], k_empty[kStages];
  Mbarrier v_full[kStages], v_empty[kStages];
};
static_assert(sizeof(Shared) <= kMostShared);

/// The tiles of this block of threads.
struct Tiles {
  int64_t N, Lq, Lk, query_tiles, count;
  SRPO_DEVICE int first(int64_t tile) const {
    return static_cast<int>(tile % query_tiles) * kQueries;
  }
  SRPO_DEVICE int head(int64_t tile) const { return static_cast<int>(tile / query_tiles); }
  SRPO_DEVICE int blocks() const { return static_cast<int>(ceil_div(Lk, kKeys)); }
};

/// One thread: fills the rings, in the order in which they are used.
SRPO_DEVICE void produce(Shared& shared, const TensorMap& q, const TensorMap& k, const TensorMap& v,
                         const Tiles& tiles) {
  RingPlace<kStages> at_q(1), at_k(1);
  for (int64_t tile = blockIdx.x; tile < tiles.count; tile += gridDim.x, at_q.advance()) {
    const int head = tiles.head(tile);
    Mbarrier& q_full = shared.q_full[at_q.index];
    mbarrier_wait(shared.q_empty[at_q.index], at_q.parity);
    mbarrier_arrive_expect(q_full, kGroups * kTileBytes);
    for (int group = 0; group < kGroups; ++group)
      tma_load(&shared.q[at_q.index][group], q, q_full,
               Coordinates{0, tiles.first(tile) + group * kGroupRows, 0, head});
    for (int block = tiles.blocks() - 1; block >= 0; --block, at_k.advance()) {
      const int stage = at_k.index;
      mbarrier_wait(shared.k_empty[stage], at_k.parity);
      mbarrier_arrive_expect(shared.k_full[stage], kBlockBytes);
      tma_load(&shared.k[stage], k, shared.k_full[stage], Coordinates{0, block * kKeys, 0, head});
      mbarrier_wait(shared.v_empty[stage], at_k.parity);
      mbarrier_arrive_expect(shared.v_full[stage], kBlockBytes);
      tma_load(&shared.v[stage], v, shared.v_full[stage], Coordinates{0, block * kKeys, 0, head});
    }
  }
}

/// The groups' turns at the tensor cores: a named barrier each, at which the other one arrives.
SRPO_DEVICE void await_turn(int group) {
  barrier_sync(1 + group, kGroups * kGroup);
}
SRPO_DEVICE void pass_turn(int group) {
  barrier_arrive(2 - group, kGroups * kGroup);
}

SRPO_DEVICE void hide_from(float (&s)[kKeys / 2], int keys) {
#pragma unroll
  for (int j = 0; j < kKeys / 2; ++j)
    if (j / 4 * 8 + lane() % 4 * 2 + j % 2 >= keys) s[j] = -INFINITY;
}

/// A group's part of each tile.
SRPO_DEVICE void consume(Shared& shared, const TensorMap& out, float* lse, float factor,
                         const Tiles& tiles, int group) {
  RingPlace<kStages> at_q(0), at_k(0), at_v(0);
  if (group == 1) pass_turn(group);
  for (int64_t tile = blockIdx.x; tile < tiles.count; tile += gridDim.x, at_q.advance()) {
    HeadTile<kGroupRows>& q = shared.q[at_q.index][group];
    RowSoftmax softmax = {factor};
    float o[kGroupSums] = {}, s[kKeys / 2], shrink[2];
    Weights<kKeys> p;

    mbarrier_wait(shared.q_full[at_q.index], at_q.parity);
    mbarrier_wait(shared.k_full[at_k.index], at_k.parity);
    wgmma_fence();
    multiply_heads<kKeys>(s, q, shared.k[at_k.index]);
    wgmma_commit();
    wgmma_wait<0>();
    wgmma_hold(s);
    release(shared.k_empty[at_k.index]);
    at_k.advance();
    int block = tiles.blocks() - 1;
    if ((block + 1) * kKeys > tiles.Lk) hide_from(s, static_cast<int>(tiles.Lk - block * kKeys));
    softmax(s, shrink);
    pack_weights<kKeys>(p, s);

    for (; block > 0; --block, at_k.advance(), at_v.advance()) {
      mbarrier_wait(shared.k_full[at_k.index], at_k.parity);
      await_turn(group);
      wgmma_fence();
      multiply_heads<kKeys>(s, q, shared.k[at_k.index]);
      wgmma_commit();
      mbarrier_wait(shared.v_full[at_v.index], at_v.parity);
      wgmma_fence();
      gather_heads<kKeys>(o, p, shared.v[at_v.index]);
      wgmma_commit();
      pass_turn(group);
      wgmma_wait<1>();
      wgmma_hold(s);
      release(shared.k_empty[at_k.index]);
      softmax(s, shrink);
      wgmma_wait<0>();
      wgmma_hold(o);
      release(shared.v_empty[at_v.index]);
#pragma unroll
      for (int j = 0; j < kGroupSums; ++j) o[j] *= shrink[j % 4 / 2];
      pack_weights<kKeys>(p, s);
    }
    mbarrier_wait(shared.v_full[at_v.index], at_v.parity);
    wgmma_fence();
    gather_heads<kKeys>(o, p, shared.v[at_v.index]);
    wgmma_commit();
    wgmma_wait<0>();
    wgmma_hold(o);
    release(shared.v_empty[at_v.index]);
    at_v.advance();

    float inverse[2], row_lse[2];
    softmax.finish(inverse, row_lse);
    const int first = tiles.first(tile) + group * kGroupRows, head = tiles.head(tile);
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const int64_t i = first + warp() % 4 * 16 + half * 8 + lane() / 4;
      if (lane() % 4 == 0 && i < tiles.Lq) lse[head * tiles.Lq + i] = row_lse[half];
    }
    put_heads(q, o, inverse);
    fence_async();
    barrier_sync(3 + group, kGroup);
    if (thread_rank() % kGroup == 0) {
      const auto N = static_cast<int>(tiles.N);
      if (first < tiles.Lq) tma_store(out, &q, Coordinates{0, first, head % N * 2, head / N});
      bulk_commit();
      bulk_wait_read<0>();
      mbarrier_arrive(shared.q_empty[at_q.index]);
    }
  }
  if (group == 0) await_turn(group);  // the turn that nobody takes
}

__global__ void __launch_bounds__(kThreads, 1)
    attention_forward_sm90_kernel(float* lse, const __grid_constant__ TensorMap out,
                                  const __grid_constant__ TensorMap q,
                                  const __grid_constant__ TensorMap k,
                                  const __grid_constant__ TensorMap v, const Tiles tiles,
                                  float factor) {
  auto& shared = shared_memory<Shared>();
  if (thread_rank() == 0) {
    for (int i = 0; i < kStages; ++i) {
      for (Mbarrier* full : {shared.q_full, shared.k_full, shared.v_full})
        mbarrier_init(full[i], 1);
      mbarrier_init(shared.q_empty[i], kGroups);
      mbarrier_init(shared.k_empty[i], kGroups * kGroup / kWarp);
      mbarrier_init(shared.v_empty[i], kGroups * kGroup / kWarp);
    }
    mbarrier_init_fence();
  }
  block_barrier();
  wait_for_earlier_kernel();
  const int group = warp() / (kGroup / kWarp);
  if (group == kGroups) {
    give_registers<24>();
    if (warp() == kGroups * kGroup / kWarp && elect_one()) produce(shared, q, k, v, tiles);
  } else {
    take_registers<240>();
    consume(shared, out, lse, factor, tiles, group);
  }
}

}  // namespace

bool attention_forward_sm90(const AttentionForward& op, Stream& stream) {
  if (op.bias || op.key_mask || op.causal || op.scale <= 0.f || op.q.dim(3) != kHead) return false;
  for (const TensorView& t : {op.q, op.k, op.v, op.out})
    if (t.dtype != DType::kBFloat16 || !packs<bfloat16>(t.pointer, t.dim(-1))) return false;
  const auto [B, N, Lq, Dh] = op.q.sizes<4>();
  const int64_t query_tiles = ceil_div(Lq, kQueries);
  const Tiles tiles = {.N = N,
                       .Lq = Lq,
                       .Lk = op.k.dim(2),
                       .query_tiles = query_tiles,
                       .count = B * N * query_tiles};
  launch(attention_forward_sm90_kernel,
         {.grid = std::min<int64_t>(tiles.count, multiprocessors(stream)),
          .block = kThreads,
          .shared = sizeof(Shared),
          .stream = stream},
         op.lse.data<float>(), tokens_map(op.out, N, kGroupRows), heads_map(op.q, kGroupRows),
         heads_map(op.k, kKeys), heads_map(op.v, kKeys), tiles, op.scale * kLog2E);
  return true;
}

}  // namespace srpo::cuda
