// Attention backward on Hopper: the gradients of q, k and v, see attention.cu for the equations. Heads of 128,
// bfloat16.
//
//   q, dq        [B, N, Lq, 128]   by tiles of 80 queries, round and round (query_sums.cuh)
//   k, v, dk, dv [B, N, Lk, 128]   a tile 128 keys of a head, 64 to each of two warpgroups
//   dout         [B, Lq, N*128],   statistics [B * N, tiles, 2, 80] (attention_backward_sm90.h)
//
// A block of threads stays; it has the same tile of keys of one head after the other, and as many heads run at
// once as fit the card whole. Scores are made transposed, keys as rows, so that p and ds stay in registers for
// dv and dk, whose sums stay there too. ds goes through shared memory for dq^T = k^T ds^T, of which a group
// makes half of the channels and warp 9 adds the whole to global memory (FlashAttention-3, Shah et al. 2024,
// app. B.1; the order of additions is ours). Warp 8 has the copy engine fill the rings. The products of a step
// are issued so that the next ones queue behind them, up to the next tile's scores.
//
// Bound by the tensor cores: 10 Lq Lk Dh FLOP a head.

#include "cuda/attention/attention_backward_sm90.h"

#include <algorithm>

#include "cuda/attention/attention_sm90.h"
#include "cuda/attention/backward_tiles.cuh"
#include "cuda/attention/head_tiles.cuh"
#include "cuda/attention/query_sums.cuh"
#include "cuda/attention/scores.cuh"
#include "cuda/common/atomic.cuh"
#include "cuda/common/barrier.cuh"
#include "cuda/common/cluster.cuh"
#include "cuda/common/dtype.cuh"
#include "cuda/common/launch.cuh"
#include "cuda/common/multiprocessors.h"
#include "cuda/common/shared.cuh"

namespace srpo::cuda {
namespace {

using namespace attention;

constexpr int kThreads = (kGroups + 1) * kGroup;
constexpr int kWarps = kGroups * kGroup / kWarp;  // of them
constexpr int kStages = 2;

struct Shared {
  HeadTile<kGroupRows> k[kGroups], v[kGroups];  // in the end dk and dv
  HeadTile<kQueries> q[kStages], dout[kStages];
  HeadTile<kQueries> ds[kStages];  // with the tile's keys in the channels' place
  QuerySums<kQueries> dq;
  float statistics[kStages][2][kQueries];
  Mbarrier keys_full, keys_empty, dq_full, dq_empty;
  Mbarrier q_full[kStages], q_empty[kStages];
  Mbarrier dout_full[kStages], dout_empty[kStages];
};
static_assert(sizeof(Shared) <= kMostShared);

/// Heads and tiles: block of threads b has key tile b % key_tiles of heads b / key_tiles, + heads_at_once, ...
struct Plan {
  QueryTurns turns;
  int N, heads, heads_at_once, Lk;
  float scale;
  SRPO_DEVICE int first_head() const { return static_cast<int>(blockIdx.x / turns.key_tiles); }
  SRPO_DEVICE unsigned key_tile() const { return blockIdx.x % turns.key_tiles; }
};

struct Maps {
  TensorMap q, k, v, dout, dk, dv;
};

/// One thread: fills the rings, in the order in which they are used.
SRPO_DEVICE void produce(Shared& shared, const Maps& maps, const float* statistics,
                         const Plan& plan) {
  RingPlace<1> at_keys(1);
  RingPlace<kStages> at(1);
  const QueryTurns& turns = plan.turns;
  const auto n = static_cast<int>(plan.key_tile());
  for (int head = plan.first_head(); head < plan.heads; head += plan.heads_at_once) {
    mbarrier_wait(shared.keys_empty, at_keys.parity);
    at_keys.advance();
    mbarrier_arrive_expect(shared.keys_full, sizeof shared.k + sizeof shared.v);
    for (int group = 0; group < kGroups; ++group) {
      const Coordinates place = {0, n * kKeys + group * kGroupRows, 0, head};
      tma_load(&shared.k[group], maps.k, shared.keys_full, place);
      tma_load(&shared.v[group], maps.v, shared.keys_full, place);
    }
    unsigned tile = turns.first(plan.key_tile());
#pragma unroll 1  // few registers here
    for (unsigned i = 0; i < turns.query_tiles; ++i, tile = turns.next(tile), at.advance()) {
      const int stage = at.index, query = static_cast<int>(tile) * kQueries;
      constexpr int kBytes = sizeof shared.statistics[0];
      mbarrier_wait(shared.q_empty[stage], at.parity);
      mbarrier_arrive_expect(shared.q_full[stage], sizeof shared.q[0] + kBytes);
      tma_load(&shared.q[stage], maps.q, shared.q_full[stage], Coordinates{0, query, 0, head});
      bulk_load(&shared.statistics[stage],
                statistics + (uint64_t{turns.query_tiles} * static_cast<unsigned>(head) + tile) *
                                 (2 * kQueries),
                kBytes, shared.q_full[stage]);
      mbarrier_wait(shared.dout_empty[stage], at.parity);
      mbarrier_arrive_expect(shared.dout_full[stage], sizeof shared.dout[0]);
      tma_load(&shared.dout[stage], maps.dout, shared.dout_full[stage],
               Coordinates{0, query, head % plan.N * 2, head / plan.N});
    }
  }
}

/// One thread: brings each tile's part of dq to global memory when its turn has come.
SRPO_DEVICE void add_queries(Shared& shared, float* sums, unsigned* taken, const Plan& plan) {
  const QueryTurns& turns = plan.turns;
  const unsigned n = plan.key_tile();
  unsigned parity = 0;
  for (int head = plan.first_head(); head < plan.heads; head += plan.heads_at_once) {
    unsigned tile = turns.first(n);
#pragma unroll 1  // few registers here
    for (unsigned i = 0; i < turns.query_tiles; ++i, tile = turns.next(tile), parity ^= 1) {
      const uint64_t place = uint64_t{turns.query_tiles} * static_cast<unsigned>(head) + tile;
      const unsigned rank = turns.rank(n, tile);
      mbarrier_wait(shared.dq_full, parity);
      if (rank == 0) {
        bulk_store(sums + place * (kQueries * kHead), shared.dq, sizeof shared.dq);
      } else {
        wait_until(taken + place, rank);
        fence_async_global();
        bulk_add(sums + place * (kQueries * kHead), &shared.dq[0][0][0][0], sizeof shared.dq);
      }
      bulk_commit();
      bulk_wait_read<0>();
      mbarrier_arrive(shared.dq_empty);
      bulk_wait<0>();
      fence_async_global();
      store_release(taken + place, rank + 1);
    }
  }
}

/// A group's part of each step: 64 keys in s, p, ds, dk and dv, 64 channels in dq.
SRPO_DEVICE void consume(Shared& shared, const Maps& maps, const Plan& plan, int group) {
  RingPlace<1> at_keys(0), at_dq(1);
  RingPlace<kStages> at(0);
  const int first = static_cast<int>(plan.key_tile()) * kKeys + group * kGroupRows,
            t = thread_rank() % kGroup;
  const HeadTile<kGroupRows>&k = shared.k[group], &v = shared.v[group];
  for (int head = plan.first_head(); head < plan.heads; head += plan.heads_at_once) {
    float dk[kGroupSums] = {}, dv[kGroupSums] = {};
    float s[kQueries / 2], dp[kQueries / 2];
    const auto begin_scores = [&] {
      mbarrier_wait(shared.q_full[at.index], at.parity);
      wgmma_fence();
      multiply_heads<kQueries>(s, k, shared.q[at.index]);
      wgmma_commit();
    };
    const auto finish_scores = [&] {
      mbarrier_wait(shared.dout_full[at.index], at.parity);
      wgmma_fence();
      multiply_heads<kQueries>(dp, v, shared.dout[at.index]);
      wgmma_commit();
      wgmma_wait<1>();
      wgmma_hold(s);
      weigh(s, shared.statistics[at.index][0], plan.scale * kLog2E, plan.Lk - first);
      wgmma_wait<0>();
      wgmma_hold(dp);
    };
    // From s = p and dp to the next tile's: the tensor cores have the next scores to go on with while dq is
    // taken away and p made. Nothing is in flight where a step begins: ptxas would serialise it.
    const auto step = [&]<bool kLast>() {
      const int stage = at.index;
      Weights<kQueries> p, ds;
      differentiate(dp, s, shared.statistics[stage][1]);
      pack_weights<kQueries>(p, s);
      pack_weights<kQueries>(ds, dp);
      put_ds(shared.ds[stage], ds, group);
      fence_async();
      wgmma_fence();
      gather_heads<kQueries>(dv, p, shared.dout[stage]);
      gather_heads<kQueries>(dk, ds, shared.q[stage]);
      wgmma_commit();
      barrier_sync(1, kGroups * kGroup);  // ds of both groups is there
      float dq[kQueries / 2];
      wgmma_fence();
      multiply_ds(dq, shared.k, shared.ds[stage], group);
      wgmma_commit();
      wgmma_wait<1>();
      wgmma_hold(dv);
      wgmma_hold(dk);
      release(shared.dout_empty[stage]);
      // The statistics were read by ordinary loads; the copy engine writes there next.
      fence_async();
      warp_barrier();
      release(shared.q_empty[stage]);
      at.advance();
      if constexpr (!kLast) begin_scores();
      wgmma_wait<kLast ? 0 : 1>();
      wgmma_hold(dq);
      mbarrier_wait(shared.dq_empty, at_dq.parity);
      at_dq.advance();
#pragma unroll
      for (int j = 0; j < kQueries / 8; ++j) {
        const float four[4] = {dq[4 * j], dq[4 * j + 1], dq[4 * j + 2], dq[4 * j + 3]};
        store_pack(shared.dq[group][j][t], four);
      }
      fence_async();
      warp_barrier();
      release(shared.dq_full);
      if constexpr (!kLast) finish_scores();
    };

    mbarrier_wait(shared.keys_full, at_keys.parity);
    at_keys.advance();
    begin_scores();
    finish_scores();
#pragma unroll 1
    for (unsigned i = 1; i < plan.turns.query_tiles; ++i) step.template operator()<false>();
    step.template operator()<true>();
    barrier_sync(1, kGroups * kGroup);  // both groups are done with k
    const float scale[2] = {plan.scale, plan.scale}, one[2] = {1.f, 1.f};
    put_heads(shared.k[group], dk, scale);
    put_heads(shared.v[group], dv, one);
    fence_async();
    barrier_sync(2 + group, kGroup);
    if (t == 0) {
      if (first < plan.Lk) {
        tma_store(maps.dk, &k, Coordinates{0, first, 0, head});
        tma_store(maps.dv, &v, Coordinates{0, first, 0, head});
      }
      bulk_commit();
      bulk_wait_read<0>();
      mbarrier_arrive(shared.keys_empty);
    }
  }
}

__global__ void __launch_bounds__(kThreads, 1)
    attention_backward_sm90_kernel(float* sums, unsigned* taken, const float* statistics,
                                   const __grid_constant__ Maps maps, const Plan plan) {
  auto& shared = shared_memory<Shared>();
  if (thread_rank() == 0) {
    mbarrier_init(shared.keys_full, 1);
    mbarrier_init(shared.keys_empty, kGroups);
    mbarrier_init(shared.dq_full, kWarps);
    mbarrier_init(shared.dq_empty, 1);
    for (int i = 0; i < kStages; ++i) {
      mbarrier_init(shared.q_full[i], 1);
      mbarrier_init(shared.q_empty[i], kWarps);
      mbarrier_init(shared.dout_full[i], 1);
      mbarrier_init(shared.dout_empty[i], kWarps);
    }
    mbarrier_init_fence();
  }
  block_barrier();
  wait_for_earlier_kernel();
  if (warp() >= kWarps) {
    give_registers<24>();
    if (warp() == kWarps && elect_one()) produce(shared, maps, statistics, plan);
    if (warp() == kWarps + 1 && elect_one()) add_queries(shared, sums, taken, plan);
  } else {
    take_registers<240>();
    consume(shared, maps, plan, warp() / (kGroup / kWarp));
  }
}

}  // namespace

bool attention_backward_sm90(const AttentionBackward& op, Stream& stream) {
  if (op.bias || op.key_mask || op.causal || op.q.dim(3) != kHead) return false;
  for (const TensorView& t : {op.q, op.k, op.v, op.out, op.dout, op.dq, op.dk, op.dv})
    if (t.dtype != DType::kBFloat16 || !packs<bfloat16>(t.pointer, t.dim(-1))) return false;
  const auto [B, N, Lq, Dh] = op.q.sizes<4>();
  const int64_t Lk = op.k.dim(2), heads = B * N;
  const int64_t key_tiles = ceil_div(Lk, kKeys), query_tiles = ceil_div(Lq, kQueries);
  const int64_t heads_at_once = std::min(heads, multiprocessors(stream) / key_tiles);
  if (heads_at_once == 0) return false;  // the blocks of a head wait for one another

  float* statistics = scratch<float>(stream, heads * query_tiles * 2 * kQueries);
  float* sums = scratch<float>(stream, heads * query_tiles * kQueries * kHead);
  unsigned* taken = scratch<unsigned>(stream, heads * query_tiles);
  backward_statistics(statistics, taken, op, stream);
  const Plan plan = {.turns = {.query_tiles = static_cast<unsigned>(query_tiles),
                               .key_tiles = static_cast<unsigned>(key_tiles)},
                     .N = static_cast<int>(N),
                     .heads = static_cast<int>(heads),
                     .heads_at_once = static_cast<int>(heads_at_once),
                     .Lk = static_cast<int>(Lk),
                     .scale = op.scale};
  const Maps maps = {.q = heads_map(op.q, kQueries),
                     .k = heads_map(op.k, kGroupRows),
                     .v = heads_map(op.v, kGroupRows),
                     .dout = tokens_map(op.dout, N, kQueries),
                     .dk = heads_map(op.dk, kGroupRows),
                     .dv = heads_map(op.dv, kGroupRows)};
  launch(attention_backward_sm90_kernel,
         {.grid = heads_at_once * key_tiles,
          .block = kThreads,
          .shared = sizeof(Shared),
          .together = true,
          .stream = stream},
         sums, taken, statistics, maps, plan);
  backward_queries(op, sums, stream);
  return true;
}

}  // namespace srpo::cuda
