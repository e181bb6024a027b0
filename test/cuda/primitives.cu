// Barriers, shuffles, reductions, cp.async, tiles and the warp's tensor cores, clusters, turnstiles.
#include "cuda/common/atomic.cuh"
#include "cuda/common/block_reduce.cuh"
#include "cuda/common/cluster.cuh"
#include "cuda/common/matrix.cuh"
#include "cuda/common/mbarrier.cuh"
#include "test/cuda/harness.h"

namespace srpo::cuda::test {
namespace {

// ---- a reduction, right and with planted defects ------------------------------------------------

enum class Defect { kNone, kNoBarrier, kDivergent, kPastShared, kLostThread };

template <Defect kDefect>
__global__ void reversed_kernel(float* out) {
  wait_for_earlier_kernel();
  auto* parts = shared_array<float>();
  const int i = thread_rank(), n = block_threads();
  if (kDefect == Defect::kLostThread && i == 5) {
    barrier_sync(1, 64);  // all others are at another barrier
    return;
  }
  parts[i + (kDefect == Defect::kPastShared && i == n - 1 ? 40 : 0)] = static_cast<float>(i);
  if (kDefect != Defect::kNoBarrier) block_barrier();
  float value = parts[n - 1 - i];
  if (kDefect != Defect::kDivergent || lane() < 20) value += 0.f * warp_sum(value);
  out[i] = value;
}

template <Defect kDefect>
void reversed(Stream& stream) {
  constexpr int n = 128;
  Buffer<float> out(n);
  launch(reversed_kernel<kDefect>,
         {.grid = 1, .block = n, .shared = n * sizeof(float), .stream = stream}, out.get());
  finish(stream);
  for (int i = 0; i < n; ++i)
    expect(out[i] == static_cast<float>(n - 1 - i), "element " + std::to_string(i) + " is wrong");
}

__global__ void warp_kernel(int* out) {
  wait_for_earlier_kernel();
  const int i = thread_rank(), l = lane();
  out[i * 8 + 0] = shuffle(i, (l + 3) % kWarp);
  out[i * 8 + 1] = shuffle_xor(i, 5);
  out[i * 8 + 2] = shuffle_down(i, 4);
  out[i * 8 + 3] = shuffle_up(i, 4);
  out[i * 8 + 4] = static_cast<int>(ballot(l % 3 == 0));
  out[i * 8 + 5] = warp_sum(i);
  out[i * 8 + 6] = warp_sum(i, 8);
  out[i * 8 + 7] = (any_lane(l == 7) ? 1 : 0) + (all_lanes(l == 7) ? 2 : 0) + (elect_one() ? 4 : 0);
}

void warps(Stream& stream) {
  Buffer<int> out(64 * 8);
  launch(warp_kernel, {.grid = 1, .block = 64, .stream = stream}, out.get());
  finish(stream);
  unsigned thirds = 0;
  for (unsigned l = 0; l < 32; l += 3) thirds |= 1u << l;
  int elected = 0;
  for (int i = 0; i < 64; ++i) {
    const int w = i / 32 * 32, l = i % 32;
    const int octet = i / 8 * 8;
    const int want[7] = {
        w + (l + 3) % 32,         w + (l ^ 5),  l + 4 < 32 ? i + 4 : i, l >= 4 ? i - 4 : i,
        static_cast<int>(thirds), 32 * w + 496, 8 * octet + 28};
    for (int j = 0; j < 7; ++j)
      expect(out[i * 8 + j] == want[j], "thread " + std::to_string(i) + ", result " +
                                            std::to_string(j) + " is " +
                                            std::to_string(out[i * 8 + j]));
    expect((out[i * 8 + 7] & 3) == 1, "any_lane or all_lanes is wrong");
    elected += out[i * 8 + 7] >> 2;
  }
  expect(elected == 2, "elect_one took " + std::to_string(elected) + " lanes of two warps");
}

__global__ void block_sum_kernel(float* out) {
  wait_for_earlier_kernel();
  const float x = static_cast<float>(thread_rank());
  const float a = block_sum(x), b = block_max(-x);
  const Pair c = block_sum(Pair{1.f, 2.f * x});
  if (thread_rank() == 77) {
    out[0] = a;
    out[1] = b;
    out[2] = c.first;
    out[3] = c.second;
  }
}

void block_sums(Stream& stream) {
  Buffer<float> out(4);
  launch(block_sum_kernel, {.grid = 1, .block = {32, 8}, .stream = stream}, out.get());
  finish(stream);
  expect(out[0] == 32640.f && out[1] == 0.f && out[2] == 256.f && out[3] == 65280.f,
         "a block sum is wrong");
}

// Two warps pass a buffer to and fro by named barriers: 1 says full, 2 says empty.
__global__ void named_kernel(int* out, int rounds) {
  wait_for_earlier_kernel();
  auto* buffer = shared_array<int>();
  for (int round = 0; round < rounds; ++round)
    if (warp() == 0) {
      if (round > 0) barrier_sync(2, 64);
      buffer[lane()] = round * 100 + lane();
      barrier_arrive(1, 64);
    } else {
      barrier_sync(1, 64);
      out[round * 32 + lane()] = buffer[31 - lane()];
      if (round + 1 < rounds) barrier_arrive(2, 64);
    }
}

void named_barriers(Stream& stream) {
  constexpr int rounds = 5;
  Buffer<int> out(rounds * 32);
  launch(named_kernel, {.grid = 1, .block = 64, .shared = 128, .stream = stream}, out.get(),
         rounds);
  finish(stream);
  for (int i = 0; i < rounds * 32; ++i)
    expect(out[i] == i / 32 * 100 + 31 - i % 32, "round " + std::to_string(i / 32) + " is wrong");
}

// ---- cp.async: a pipeline of two stages ---------------------------------------------------------

template <bool kWaits>
__global__ void copy_kernel(float* out, const float* in, int steps) {
  wait_for_earlier_kernel();
  auto* stages = shared_array<float>();  // [2][32][4]
  const int l = lane();
  const auto begin = [&](int step) {
    if (step < steps)
      copy_async(stages + (step % 2 * 32 + l) * 4, in + (step * 32 + l) * 4, l != 9);
    copy_commit();
  };
  begin(0);
  for (int step = 0; step < steps; ++step) {
    begin(step + 1);
    if (kWaits) copy_wait<1>();
    warp_barrier();
    for (int i = 0; i < 4; ++i)
      out[(step * 32 + l) * 4 + i] = stages[(step % 2 * 32 + 31 - l) * 4 + i];
    warp_barrier();
  }
  copy_wait<0>();
}

template <bool kWaits>
void copies(Stream& stream) {
  constexpr int steps = 4, n = steps * 128;
  Buffer<float> in(n), out(n);
  for (int i = 0; i < n; ++i) in[i] = number(1, i);
  launch(copy_kernel<kWaits>, {.grid = 1, .block = 32, .shared = 1024, .stream = stream}, out.get(),
         in.get(), steps);
  finish(stream);
  for (int i = 0; i < n; ++i) {
    const int row = 31 - i / 4 % 32;
    const float want = row == 9 ? 0.f : in[i / 128 * 128 + row * 4 + i % 4];
    expect(out[i] == want, "element " + std::to_string(i) + " is wrong");
  }
}

// ---- ldmatrix, mma, stmatrix --------------------------------------------------------------------

struct MatrixTiles {
  bfloat16 a[16][16], b[16][8], bt[8][16], d[16][16];
};

__global__ void matrix_kernel(float* out, bfloat16* copy, const bfloat16* a, const bfloat16* b) {
  wait_for_earlier_kernel();
  auto& tiles = shared_memory<MatrixTiles>();
  const int l = lane();
  for (int i = l; i < 256; i += 32) tiles.a[i / 16][i % 16] = a[i];
  for (int i = l; i < 128; i += 32) {
    tiles.b[i / 8][i % 8] = b[i];
    tiles.bt[i % 8][i / 8] = b[i];
  }
  warp_barrier();
  unsigned ra[4], rb[4], rt[4];
  load_matrices(ra, &tiles.a[l % 16][l / 16 * 8]);
  load_matrices<true>(rb, &tiles.b[l % 16][0]);  // twice: lanes 16.. name the same rows
  load_matrices(rt, &tiles.bt[l % 8][l / 8 % 2 * 8]);
  float d[4] = {}, e[4] = {};
  multiply_add(d, ra, {rb[0], rb[1]});
  multiply_add(e, ra, {rt[0], rt[1]});
  for (int i = 0; i < 4; ++i) {
    out[l * 8 + i] = d[i];
    out[l * 8 + 4 + i] = e[i];
  }
  store_matrices<true>(&tiles.d[l % 16][l / 16 * 8], ra);
  warp_barrier();
  for (int i = l; i < 256; i += 32) copy[i] = tiles.d[i / 16][i % 16];
}

void matrices(Stream& stream) {
  Buffer<bfloat16> a(256), b(128), copy(256);
  Buffer<float> out(256);
  fill(a, 3);
  fill(b, 4);
  launch(matrix_kernel, {.grid = 1, .block = 32, .shared = sizeof(MatrixTiles), .stream = stream},
         out.get(), copy.get(), a.get(), b.get());
  finish(stream);
  for (int l = 0; l < 32; ++l)
    for (int i = 0; i < 8; ++i) {
      const int row = l / 4 + i % 4 / 2 * 8, column = l % 4 * 2 + i % 2;
      double want = 0;
      for (int k = 0; k < 16; ++k)
        want += double(float(a[row * 16 + k])) * float(b[k * 8 + column]);
      expect(std::fabs(out[l * 8 + i] - want) < 1e-5,
             "lane " + std::to_string(l) + ", value " + std::to_string(i) + " of mma is wrong");
    }
  // Each 8 x 8 tile comes back transposed.
  for (int i = 0; i < 256; ++i) {
    const int row = i / 16, column = i % 16;
    const int from = (row / 8 * 8 + column % 8) * 16 + column / 8 * 8 + row % 8;
    expect(copy[i].bits == a[from].bits, "stmatrix, element " + std::to_string(i) + " is wrong");
  }
}

// ---- mbarrier -----------------------------------------------------------------------------------

struct Mailbox {
  Mbarrier full, empty;
  int value[32];
};

template <int kArrivals>
__global__ void mailbox_kernel(int* out, int rounds) {
  wait_for_earlier_kernel();
  auto& box = shared_memory<Mailbox>();
  if (thread_rank() == 0) {
    mbarrier_init(box.full, kArrivals);
    mbarrier_init(box.empty, 32);
    mbarrier_init_fence();
  }
  block_barrier();
  for (int round = 0; round < rounds; ++round) {
    const unsigned parity = round & 1;
    if (warp() == 0) {
      mbarrier_wait(box.empty, parity ^ 1);
      box.value[lane()] = round + lane();
      mbarrier_arrive(box.full);
    } else {
      mbarrier_wait(box.full, parity);
      out[round * 32 + lane()] = box.value[31 - lane()];
      mbarrier_arrive(box.empty);
    }
  }
}

template <int kArrivals>
void mailbox(Stream& stream) {
  constexpr int rounds = 6;
  Buffer<int> out(rounds * 32);
  launch(mailbox_kernel<kArrivals>,
         {.grid = 1, .block = 64, .shared = sizeof(Mailbox), .stream = stream}, out.get(), rounds);
  finish(stream);
  for (int i = 0; i < rounds * 32; ++i)
    expect(out[i] == i / 32 + 31 - i % 32, "round " + std::to_string(i / 32) + " is wrong");
}

// ---- clusters and blocks that wait for one another ----------------------------------------------

__global__ void cluster_kernel(int* out) {
  wait_for_earlier_kernel();
  auto* mine = shared_array<int>();
  auto& done = *shared_array<Mbarrier>(512);
  const int rank = cluster_rank(), i = thread_rank();
  if (i == 0) {
    mbarrier_init(done, 32);
    mbarrier_init_fence();
  }
  mine[i] = 1000 * (static_cast<int>(blockIdx.x) + 1) + i;
  cluster_barrier();
  const int other = (rank + 1) % cluster_blocks();
  out[blockIdx.x * 32 + i] = *map_shared(mine + i, other);
  mbarrier_arrive_remote(done, other);
  mbarrier_wait(done, 0);  // nobody reads here any more
  mine[i] = -1;
  cluster_barrier();
}

void clusters(Stream& stream) {
  Buffer<int> out(4 * 32);
  launch(cluster_kernel, {.grid = 4, .block = 32, .shared = 1024, .cluster = 2, .stream = stream},
         out.get());
  finish(stream);
  for (int i = 0; i < 128; ++i)
    expect(out[i] == 1000 * ((i / 32 ^ 1) + 1) + i % 32,
           "block " + std::to_string(i / 32) + " read " + std::to_string(out[i]));
}

// Every block adds to a sum in the order of its number.
__global__ void turnstile_kernel(int* order, unsigned* turn) {
  wait_for_earlier_kernel();
  if (thread_rank() == 0) {
    wait_until(turn, blockIdx.x);
    order[blockIdx.x] = static_cast<int>(*turn);
    device_fence();
    store_release(turn, blockIdx.x + 1);
  }
}

void turnstile(Stream& stream) {
  constexpr int blocks = 24;
  Buffer<int> order(blocks);
  Buffer<unsigned> turn(1);
  launch(turnstile_kernel, {.grid = blocks, .block = 32, .stream = stream}, order.get(),
         turn.get());
  finish(stream);
  for (int i = 0; i < blocks; ++i) expect(order[i] == i, "the blocks went out of turn");
}

}  // namespace

void add_primitives(std::vector<Case>& cases) {
  cases.push_back({"block barrier", reversed<Defect::kNone>});
  cases.push_back({"defect: no block barrier", reversed<Defect::kNoBarrier>, true});
  cases.push_back({"defect: a reduction in a branch", reversed<Defect::kDivergent>, true});
  cases.push_back({"defect: past the end of shared memory", reversed<Defect::kPastShared>, true});
  cases.push_back({"defect: a thread at another barrier", reversed<Defect::kLostThread>, true});
  cases.push_back({"warp", warps});
  cases.push_back({"block sums", block_sums});
  cases.push_back({"named barriers", named_barriers});
  cases.push_back({"cp.async", copies<true>});
  cases.push_back({"defect: cp.async without a wait", copies<false>, true});
  cases.push_back({"ldmatrix, mma, stmatrix", matrices});
  cases.push_back({"mbarrier", mailbox<32>});
  cases.push_back({"defect: mbarrier of fewer arrivals", mailbox<31>, true});
  cases.push_back({"defect: mbarrier of more arrivals", mailbox<33>, true});
  cases.push_back({"cluster", clusters});
  cases.push_back({"turnstile", turnstile});
}

}  // namespace srpo::cuda::test
