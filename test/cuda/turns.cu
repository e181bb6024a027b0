// What attention does in small (cuda/attention/attention_sm90.cu and its backward): two warpgroups on rings of keys
// and values, products of what comes from products, a tile that both read and one writes over; and the defects that
// show only when one of them, a copy or a store is very late.
#include "cuda/attention/head_tiles.cuh"
#include "cuda/common/atomic.cuh"
#include "cuda/common/barrier.cuh"
#include "cuda/common/cluster.cuh"
#include "cuda/common/shared.cuh"
#include "cuda/common/warp.cuh"
#include "test/cuda/harness.h"

namespace srpo::cuda::test {
namespace {

using namespace attention;

enum class Defect {
  kNone,
  kNoValuesWait,
  kEarlyRelease,
  kNoLastBarrier,
};

constexpr int kGroups = 2, kStages = 2, kKeys = 64, kBlocks = 4;
constexpr int kQueries = kGroups * kGroupRows, kAllKeys = kBlocks * kKeys;

struct Shared {
  HeadTile<kGroupRows> q[kGroups];  // in the end the output
  HeadTile<kKeys> k[kStages], v[kStages];
  Mbarrier q_full, k_full[kStages], k_empty[kStages], v_full[kStages], v_empty[kStages];
};

struct Maps {
  TensorMap q, k, v, out;
};

SRPO_DEVICE void produce(Shared& shared, const Maps& maps) {
  mbarrier_arrive_expect(shared.q_full, sizeof shared.q);
  for (int group = 0; group < kGroups; ++group)
    tma_load(&shared.q[group], maps.q, shared.q_full, Coordinates{0, group * kGroupRows, 0, 0});
  RingPlace<kStages> at(1);
  for (int block = 0; block < kBlocks; ++block, at.advance()) {
    const int stage = at.index;
    mbarrier_wait(shared.k_empty[stage], at.parity);
    mbarrier_arrive_expect(shared.k_full[stage], sizeof shared.k[0]);
    tma_load(&shared.k[stage], maps.k, shared.k_full[stage], Coordinates{0, block * kKeys, 0, 0});
    mbarrier_wait(shared.v_empty[stage], at.parity);
    mbarrier_arrive_expect(shared.v_full[stage], sizeof shared.v[0]);
    tma_load(&shared.v[stage], maps.v, shared.v_full[stage], Coordinates{0, block * kKeys, 0, 0});
  }
}

/// out = (q k^T) v, rounded between; like[g] = q[g] q[1 - g]^T.
template <Defect kDefect>
SRPO_DEVICE void consume(Shared& shared, const Maps& maps, float* like, int group) {
  HeadTile<kGroupRows>& q = shared.q[group];
  float o[kGroupSums] = {}, s[kKeys / 2];
  const auto multiply = [&](const HeadTile<kKeys>& b, Mbarrier* early) {
    wgmma_fence();
    multiply_heads<kKeys>(s, q, b);
    wgmma_commit();
    if (early != nullptr) release(*early);
    wgmma_wait<0>();
    wgmma_hold(s);
  };
  RingPlace<kStages> at(0);
  mbarrier_wait(shared.q_full, 0);
  for (int block = 0; block < kBlocks; ++block, at.advance()) {
    mbarrier_wait(shared.k_full[at.index], at.parity);
    constexpr bool kEarly = kDefect == Defect::kEarlyRelease;
    multiply(shared.k[at.index], kEarly ? &shared.k_empty[at.index] : nullptr);
    if (!kEarly) release(shared.k_empty[at.index]);
    // As a softmax does: every lane waits for its warp's others, many times.
    for (int j = 0; j < kKeys / 2; ++j)
      if (warp_max(s[j]) > 1e30f) s[j] = 0.f;
    Weights<kKeys> p;
    pack_weights<kKeys>(p, s);
    if (kDefect != Defect::kNoValuesWait) mbarrier_wait(shared.v_full[at.index], at.parity);
    wgmma_fence();
    gather_heads<kKeys>(o, p, shared.v[at.index]);
    wgmma_commit();
    wgmma_wait<0>();
    wgmma_hold(o);
    release(shared.v_empty[at.index]);
  }
  multiply(shared.q[1 - group], nullptr);
  const int t = thread_rank() % kGroup;
  for (int j = 0; j < kKeys / 2; ++j) {
    const int row = t / 32 * 16 + j / 2 % 2 * 8 + lane() / 4,
              column = j / 4 * 8 + lane() % 4 * 2 + j % 2;
    like[(group * kGroupRows + row) * kKeys + column] = s[j];
  }
  if (kDefect != Defect::kNoLastBarrier) barrier_sync(1, kGroups * kGroup);
  const float one[2] = {1.f, 1.f};
  put_heads(q, o, one);
  fence_async();
  barrier_sync(2 + group, kGroup);
  if (t == 0) {
    tma_store(maps.out, &q, Coordinates{0, group * kGroupRows, 0, 0});
    bulk_commit();
    bulk_wait_read<0>();
  }
}

template <Defect kDefect>
__global__ void __launch_bounds__(288)
    turns_kernel(float* like, const __grid_constant__ Maps maps) {
  auto& shared = shared_memory<Shared>();
  if (thread_rank() == 0) {
    mbarrier_init(shared.q_full, 1);
    for (int i = 0; i < kStages; ++i) {
      for (Mbarrier* full : {shared.k_full, shared.v_full}) mbarrier_init(full[i], 1);
      for (Mbarrier* empty : {shared.k_empty, shared.v_empty})
        mbarrier_init(empty[i], kGroups * kGroup / kWarp);
    }
    mbarrier_init_fence();
  }
  block_barrier();
  wait_for_earlier_kernel();
  const int group = warp() / (kGroup / kWarp);
  if (group == kGroups) {
    if (elect_one()) produce(shared, maps);
  } else {
    consume<kDefect>(shared, maps, like, group);
  }
}

constexpr int kTimes = 6;  // each under a schedule of its own

template <Defect kDefect>
void turns(Stream& stream) {
  Buffer<bfloat16> q(kQueries * kHead), k(kAllKeys * kHead), v(kAllKeys * kHead);
  Buffer<bfloat16> out(kQueries * kHead);
  Buffer<float> like(kQueries * kKeys);
  fill(q, 21);
  fill(k, 22);
  fill(v, 23);
  const auto map = [](Buffer<bfloat16>& x, int rows) {
    const auto L = static_cast<int64_t>(x.size()) / kHead;
    return tensor_map(x.get(), DType::kBFloat16, {kPart, L, 2, 1}, {kHead, kPart, L * kHead},
                      {kPart, rows, 2, 1}, Swizzle::k128);
  };
  const Maps maps = {map(q, kGroupRows), map(k, kKeys), map(v, kKeys), map(out, kGroupRows)};
  const auto dot = [](Buffer<bfloat16>& a, int i, Buffer<bfloat16>& b, int j) {
    double sum = 0;
    for (int d = 0; d < kHead; ++d)
      sum += double{float(a[i * kHead + d])} * float(b[j * kHead + d]);
    return sum;
  };
  std::vector<double> want(kQueries * kHead);
  for (int i = 0; i < kQueries; ++i)
    for (int j = 0; j < kAllKeys; ++j) {
      const float p = float(bfloat16(static_cast<float>(dot(q, i, k, j))));
      for (int d = 0; d < kHead; ++d) want[i * kHead + d] += double{p} * float(v[j * kHead + d]);
    }
  for (int time = 0; time < kTimes; ++time) {
    for (size_t i = 0; i < out.size(); ++i) out[i] = bfloat16(std::nanf(""));
    launch(turns_kernel<kDefect>,
           {.grid = 1, .block = 288, .shared = sizeof(Shared), .stream = stream}, like.get(), maps);
    finish(stream);
    for (int i = 0; i < kQueries; ++i) {
      for (int d = 0; d < kHead; ++d)
        expect(std::fabs(float(out[i * kHead + d]) - want[i * kHead + d]) < 2.,
               "row " + std::to_string(i) + ", channel " + std::to_string(d) + " is wrong");
      for (int j = 0; j < kKeys; ++j)
        expect(std::fabs(like[i * kKeys + j] -
                         dot(q, i, q, (1 - i / kGroupRows) * kGroupRows + j)) < 1e-3,
               "row " + std::to_string(i) + ", column " + std::to_string(j) + " is wrong");
    }
  }
}

// ---- a store that another block is told of ------------------------------------------------------

constexpr int kLine = 64;

/// Block 0 stores a line and says so; block 1 doubles it.
template <bool kEnded>
__global__ void told_kernel(float* line, float* twice, unsigned* flag) {
  wait_for_earlier_kernel();
  auto* parts = shared_array<float>();
  if (blockIdx.x == 0) {
    for (int i = thread_rank(); i < kLine; i += block_threads()) parts[i] = static_cast<float>(i);
    fence_async();
    block_barrier();
    if (thread_rank() == 0) {
      bulk_store(line, parts, kLine * 4);
      bulk_commit();
      if constexpr (kEnded)
        bulk_wait<0>();
      else
        bulk_wait_read<0>();
      fence_async_global();
      store_release(flag, 1);
    }
  } else {
    if (thread_rank() == 0) wait_until(flag, 1);
    block_barrier();
    for (int i = thread_rank(); i < kLine; i += block_threads()) twice[i] = 2.f * line[i];
  }
}

template <bool kEnded>
void told(Stream& stream) {
  for (int time = 0; time < kTimes; ++time) {
    Buffer<float> line(kLine, std::nanf("")), twice(kLine);
    Buffer<unsigned> flag(1);
    launch(told_kernel<kEnded>,
           {.grid = 2, .block = 32, .shared = kLine * 4, .together = true, .stream = stream},
           line.get(), twice.get(), flag.get());
    finish(stream);
    for (int i = 0; i < kLine; ++i)
      expect(twice[i] == 2.f * static_cast<float>(i), "element " + std::to_string(i));
  }
}

}  // namespace

void add_turns(std::vector<Case>& cases) {
  cases.push_back({"turns", turns<Defect::kNone>});
  cases.push_back({"a store that is told of", told<true>});
  const auto defect = [&](const char* name, void (*run)(Stream&)) {
    cases.push_back({std::string("defect: turns, ") + name, run, true});
  };
  defect("no wait for the values", turns<Defect::kNoValuesWait>);
  defect("keys released while they are multiplied", turns<Defect::kEarlyRelease>);
  defect("no barrier before a tile is written over", turns<Defect::kNoLastBarrier>);
  cases.push_back({"defect: a store told of before it has ended", told<false>, true});
}

}  // namespace srpo::cuda::test
