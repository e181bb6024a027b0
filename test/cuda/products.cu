// wgmma: every width, both ways to lie, a in registers; and a persistent, warp-specialised product (a
// producer warp, a ring of stages, a consumer warpgroup) with the defects that such a kernel can have.
#include "cuda/common/barrier.cuh"
#include "cuda/common/shared.cuh"
#include "cuda/common/tma.cuh"
#include "cuda/common/warp.cuh"
#include "cuda/common/wgmma.cuh"
#include "test/cuda/harness.h"

namespace srpo::cuda::test {
namespace {

// ---- one tile -----------------------------------------------------------------------------------

constexpr int kDepth = 64;  // along K

/// d [64, N] = a b, from a [64, 64] or, kMN, its transpose, and b [N, 64] or its transpose.
template <int N, Major kA, Major kB, bool kFromRegisters>
__global__ void tile_kernel(float* out, const bfloat16* a, const __grid_constant__ TensorMap map_a,
                            const __grid_constant__ TensorMap map_b) {
  wait_for_earlier_kernel();
  constexpr int kParts = kB == Major::kK ? 1 : (N + 63) / 64;
  constexpr int kBytesB = kB == Major::kK ? N * 128 : kParts * 64 * 128;
  unsigned char* tile_a = shared_base();
  unsigned char* tile_b = tile_a + 64 * 128;
  auto& full = *shared_array<Mbarrier>(64 * 128 + kBytesB);
  if (thread_rank() == 0) {
    mbarrier_init(full, 1);
    mbarrier_init_fence();
    mbarrier_arrive_expect(full, 64 * 128 + kBytesB);
    tma_load(tile_a, map_a, full, Coordinates{0, 0});
    for (int part = 0; part < kParts; ++part)
      tma_load(tile_b + part * 64 * 128, map_b, full, Coordinates{part * 64, 0});
  }
  block_barrier();
  mbarrier_wait(full, 0);
  float d[N / 2];
  const int t = thread_rank(), w = t / 32, g = t % 32 / 4, c = t % 4 * 2;
  // Registers that a product reads are not to be written behind the fence.
  [[maybe_unused]] unsigned r[kDepth / 16][4];
  if constexpr (kFromRegisters)
    for (int k = 0; k < kDepth; k += 16)
      for (int i = 0; i < 4; ++i) {
        const auto* at = a + (w * 16 + g + i % 2 * 8) * kDepth + k + c + i / 2 * 8;
        r[k / 16][i] = static_cast<unsigned>(at[0].bits) | static_cast<unsigned>(at[1].bits) << 16;
      }
  wgmma_fence();
#pragma unroll
  for (int k = 0; k < kDepth; k += 16) {
    const uint64_t of_b = kB == Major::kK ? wgmma_descriptor(tile_b + k * 2)
                                          : wgmma_descriptor(tile_b + k / 8 * 1024, 1024, 64 * 128);
    if constexpr (kFromRegisters) {
      wgmma<N, kB>(d, r[k / 16], of_b, k > 0);
    } else {
      const uint64_t of_a = kA == Major::kK ? wgmma_descriptor(tile_a + k * 2)
                                            : wgmma_descriptor(tile_a + k / 8 * 1024, 1024, 0);
      wgmma<N, kA, kB>(d, of_a, of_b, k > 0);
    }
  }
  wgmma_commit();
  wgmma_wait<0>();
  for (int j = 0; j < N / 2; ++j)
    out[(w * 16 + g + j % 4 / 2 * 8) * N + j / 4 * 8 + c + j % 2] = d[j];
}

template <int N, Major kA, Major kB, bool kFromRegisters = false>
void tile(Stream& stream) {
  Buffer<bfloat16> a(64 * kDepth), b(N * kDepth), at(64 * kDepth), bt(N * kDepth);
  fill(a, 8);
  fill(b, 9);
  for (int k = 0; k < kDepth; ++k) {
    for (int i = 0; i < 64; ++i) at[k * 64 + i] = a[i * kDepth + k];
    for (int j = 0; j < N; ++j) bt[k * N + j] = b[j * kDepth + k];
  }
  const auto map = [](bfloat16* data, int64_t rows, int64_t columns, int height) {
    return tensor_map(data, DType::kBFloat16, {columns, rows}, {columns}, {64, height},
                      Swizzle::k128);
  };
  constexpr int kParts = kB == Major::kK ? 1 : (N + 63) / 64;
  constexpr size_t kBytes = 64 * 128 + (kB == Major::kK ? N * 128 : kParts * 64 * 128) + 8;
  Buffer<float> out(64 * N);
  launch(tile_kernel<N, kA, kB, kFromRegisters>,
         {.grid = 1, .block = 128, .shared = kBytes, .stream = stream}, out.get(), a.get(),
         kA == Major::kK ? map(a.get(), 64, kDepth, 64) : map(at.get(), kDepth, 64, 64),
         kB == Major::kK ? map(b.get(), N, kDepth, N) : map(bt.get(), kDepth, N, 64));
  finish(stream);
  for (int i = 0; i < 64; ++i)
    for (int j = 0; j < N; ++j) {
      double want = 0;
      for (int k = 0; k < kDepth; ++k)
        want += double(float(a[i * kDepth + k])) * float(b[j * kDepth + k]);
      expect(std::fabs(out[i * N + j] - want) < 1e-4,
             "row " + std::to_string(i) + ", column " + std::to_string(j) + " is wrong");
    }
}

// ---- a pipeline ---------------------------------------------------------------------------------

enum class Defect {
  kNone,
  kNoEmptyWait,
  kEarlyRelease,
  kNoFullWait,
  kWrongParity,
  kShortBytes,
  kWrongArrivals,
  kWrongOffset,
  kWrongFragment,
  kWrongStep,
  kNoProductWait,
  kNoInitBarrier,
  kLateFullWait,
};

constexpr int kM = 64, kN = 64, kStages = 2;
constexpr int kTileBytes = 64 * 128;

struct Ring {
  unsigned char a[kStages][kTileBytes], b[kStages][kTileBytes];
  Mbarrier full[kStages], empty[kStages];
};

/// c [M, N] = a [M, K] b^T, b [N, K]. Warps 0 to 3 consume, warp 4 produces.
template <Defect kDefect>
__global__ void __launch_bounds__(160)
    pipeline_kernel(float* c, const __grid_constant__ TensorMap map_a,
                    const __grid_constant__ TensorMap map_b, int M, int N, int K) {
  wait_for_earlier_kernel();
  auto& ring = shared_memory<Ring>();
  if (thread_rank() == 0) {
    for (int i = 0; i < kStages; ++i) {
      mbarrier_init(ring.full[i], 1);
      mbarrier_init(ring.empty[i], kDefect == Defect::kWrongArrivals ? 2 : 1);
    }
    mbarrier_init_fence();
  }
  if (kDefect != Defect::kNoInitBarrier) block_barrier();
  const int down = static_cast<int>(ceil_div(M, kM)), across = static_cast<int>(ceil_div(N, kN));
  const int steps = static_cast<int>(ceil_div(K, 64));
  if (warp() == 4) {
    if (!elect_one()) return;
    RingPlace<kStages> at(kDefect == Defect::kWrongParity ? 0 : 1);
    for (int tile = static_cast<int>(blockIdx.x); tile < down * across; tile += gridDim.x)
      for (int k = 0; k < steps; ++k, at.advance()) {
        auto& full = ring.full[at.index];
        if (kDefect != Defect::kNoEmptyWait) mbarrier_wait(ring.empty[at.index], at.parity);
        mbarrier_arrive_expect(full, kDefect == Defect::kShortBytes ? kTileBytes : 2 * kTileBytes);
        tma_load(ring.a[at.index], map_a, full, Coordinates{k * 64, tile % down * kM});
        tma_load(ring.b[at.index], map_b, full, Coordinates{k * 64, tile / down * kN});
      }
    return;
  }
  const int t = thread_rank(), w = t / 32, g = t % 32 / 4, pair = t % 4 * 2;
  RingPlace<kStages> at(0);
  for (int tile = static_cast<int>(blockIdx.x); tile < down * across; tile += gridDim.x) {
    float d[kN / 2] = {};
    for (int k = 0; k < steps; ++k, at.advance()) {
      if (kDefect != Defect::kNoFullWait && kDefect != Defect::kLateFullWait)
        mbarrier_wait(ring.full[at.index], at.parity);
      wgmma_fence();
      for (int s = 0; s < 4; ++s) {
        const int far = kDefect == Defect::kWrongOffset ? 1024 : 0;
        const int step = kDefect == Defect::kWrongStep ? 64 : 32;
        wgmma<kN>(d, wgmma_descriptor(ring.a[at.index] + s * 32 + far),
                  wgmma_descriptor(ring.b[at.index] + s * step));
      }
      wgmma_commit();
      if (kDefect == Defect::kLateFullWait) mbarrier_wait(ring.full[at.index], at.parity);
      if (kDefect == Defect::kEarlyRelease && t == 0) mbarrier_arrive(ring.empty[at.index]);
      if (kDefect != Defect::kNoProductWait) wgmma_wait<0>();
      if (kDefect != Defect::kEarlyRelease && t == 0) mbarrier_arrive(ring.empty[at.index]);
    }
    for (int j = 0; j < kN / 2; ++j) {
      const int row = tile % down * kM + w * 16 + g + j % 4 / 2 * 8;
      const int column = tile / down * kN + j / 4 * 8 + j % 2 +
                         (kDefect == Defect::kWrongFragment ? pair * 2 % 8 : pair);
      if (row < M && column < N) c[row * N + column] = d[j];
    }
  }
}

template <Defect kDefect>
void pipeline(Stream& stream) {
  constexpr int M = 100, N = 136, K = 328;  // ragged on every side
  Buffer<bfloat16> a(M * K), b(N * K);
  Buffer<float> c(M * N, std::nanf(""));
  fill(a, 10);
  fill(b, 11);
  const auto map = [](bfloat16* data, int64_t rows) {
    return tensor_map(data, DType::kBFloat16, {K, rows}, {K}, {64, 64}, Swizzle::k128);
  };
  launch(pipeline_kernel<kDefect>,
         {.grid = 2, .block = 160, .shared = sizeof(Ring), .stream = stream}, c.get(),
         map(a.get(), M), map(b.get(), N), M, N, K);
  finish(stream);
  for (int i = 0; i < M; ++i)
    for (int j = 0; j < N; ++j) {
      double want = 0;
      for (int k = 0; k < K; ++k) want += double(float(a[i * K + k])) * float(b[j * K + k]);
      expect(std::fabs(c[i * N + j] - want) < 1e-3,
             "row " + std::to_string(i) + ", column " + std::to_string(j) + " is " +
                 std::to_string(c[i * N + j]) + " and not " + std::to_string(want));
    }
}

}  // namespace

void add_products(std::vector<Case>& cases) {
  cases.push_back({"wgmma, 8 wide", tile<8, Major::kK, Major::kK>});
  cases.push_back({"wgmma, 64 wide", tile<64, Major::kK, Major::kK>});
  cases.push_back({"wgmma, 128 wide", tile<128, Major::kK, Major::kK>});
  cases.push_back({"wgmma, 192 wide", tile<192, Major::kK, Major::kK>});
  cases.push_back({"wgmma, 256 wide", tile<256, Major::kK, Major::kK>});
  cases.push_back({"wgmma, b along N", tile<64, Major::kK, Major::kMN>});
  cases.push_back({"wgmma, b along N, two parts", tile<128, Major::kK, Major::kMN>});
  cases.push_back({"wgmma, a along M", tile<64, Major::kMN, Major::kK>});
  cases.push_back({"wgmma, both", tile<128, Major::kMN, Major::kMN>});
  cases.push_back({"wgmma, a in registers", tile<64, Major::kK, Major::kK, true>});
  cases.push_back({"wgmma, a in registers, b along N", tile<128, Major::kK, Major::kMN, true>});
  cases.push_back({"pipeline", pipeline<Defect::kNone>});
  const auto defect = [&](const char* name, void (*run)(Stream&)) {
    cases.push_back({std::string("defect: pipeline, ") + name, run, true});
  };
  defect("no wait for an empty stage", pipeline<Defect::kNoEmptyWait>);
  defect("a stage released before the product has ended", pipeline<Defect::kEarlyRelease>);
  defect("no wait for a full stage", pipeline<Defect::kNoFullWait>);
  defect("a wait for a full stage behind the product", pipeline<Defect::kLateFullWait>);
  defect("the wrong parity to start with", pipeline<Defect::kWrongParity>);
  defect("too few bytes announced", pipeline<Defect::kShortBytes>);
  defect("an arrival too many expected", pipeline<Defect::kWrongArrivals>);
  defect("an operand from the wrong row", pipeline<Defect::kWrongOffset>);
  defect("the wrong column of a fragment", pipeline<Defect::kWrongFragment>);
  defect("the wrong step along K", pipeline<Defect::kWrongStep>);
  defect("no wait for the product", pipeline<Defect::kNoProductWait>);
  defect("no barrier after the initialisation", pipeline<Defect::kNoInitBarrier>);
}

}  // namespace srpo::cuda::test
