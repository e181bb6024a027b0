// Kernels that begin before the one before them has ended (cuda/common/early.cuh), and those that touch global
// memory too early.
#include "cuda/common/atomic.cuh"
#include "cuda/common/barrier.cuh"
#include "cuda/common/cluster.cuh"
#include "cuda/common/shared.cuh"
#include "cuda/common/tma.cuh"
#include "test/cuda/harness.h"

namespace srpo::cuda::test {
namespace {

enum class Wait {
  kFirst,
  kAfterSetup,     // of what is the block's own
  kBehindBarrier,  // one warp waits, the others for it
  kNone,
  kAfterRead,
  kAfterWrite,
  kSomeWarps,
  kAfterFlag,
  kAfterCopy,
  kNothing,  // touched, nor waited for
};

constexpr int kThreads = 128, kBlocks = 3, kCount = kThreads * kBlocks;

__global__ void fill_kernel(float* x, unsigned* flag, int n) {
  wait_for_earlier_kernel();
  const int i = static_cast<int>(blockIdx.x) * block_threads() + thread_rank();
  if (i < n) x[i] = static_cast<float>(i);
  if (i == 0) *flag = 1;
}

/// y = x + 1.
template <Wait kWait>
__global__ void follow_kernel(float* y, const float* x, const unsigned* flag, int n) {
  const int i = static_cast<int>(blockIdx.x) * block_threads() + thread_rank();
  auto* line = shared_array<float>();
  auto& full = *shared_array<Mbarrier>(kThreads * 4);
  if constexpr (kWait == Wait::kNothing) return;
  if constexpr (kWait == Wait::kAfterSetup || kWait == Wait::kAfterCopy) {
    if (thread_rank() == 0) {
      mbarrier_init(full, 1);
      mbarrier_init_fence();
      if (kWait == Wait::kAfterCopy) {
        mbarrier_arrive_expect(full, kThreads * 4);
        bulk_load(line, x + i, kThreads * 4, full);
      }
    }
    block_barrier();
  }
  float before = 0.f;
  if constexpr (kWait == Wait::kAfterRead) before = x[i];
  if constexpr (kWait == Wait::kAfterFlag) before = static_cast<float>(load_acquire(flag));
  if constexpr (kWait == Wait::kAfterWrite) y[i] = 0.f;
  if (kWait == Wait::kBehindBarrier || kWait == Wait::kSomeWarps) {
    if (warp() == 1) wait_for_earlier_kernel();
  } else if (kWait != Wait::kNone) {
    wait_for_earlier_kernel();
  }
  if constexpr (kWait == Wait::kBehindBarrier) block_barrier();
  if constexpr (kWait == Wait::kAfterCopy) {
    mbarrier_wait(full, 0);
    before = line[thread_rank()];
  }
  if (i < n) y[i] = (before > 1.f ? before : x[i]) + 1.f;
}

template <Wait kWait>
void follow(Stream& stream) {
  Buffer<float> x(kCount, std::nanf("")), y(kCount, 5.f);
  Buffer<unsigned> flag(1);
  launch(fill_kernel, {.grid = kBlocks, .block = kThreads, .stream = stream}, x.get(), flag.get(),
         kCount);
  launch(follow_kernel<kWait>,
         {.grid = kBlocks, .block = kThreads, .shared = kThreads * 4 + 8, .stream = stream},
         y.get(), x.get(), flag.get(), kCount);
  finish(stream);
  for (int i = 0; i < kCount; ++i)
    expect(y[i] == static_cast<float>(i) + 1.f, "element " + std::to_string(i) + " is wrong");
}

/// x doubled, many times over: each waits for the one before it, and so for all.
__global__ void double_kernel(float* x) {
  auto& parts = *shared_array<float>();
  if (thread_rank() == 0) parts = 2.f;
  block_barrier();
  wait_for_earlier_kernel();
  x[blockIdx.x * blockDim.x + threadIdx.x] *= parts;
}

void chain(Stream& stream) {
  Buffer<float> x(kCount, 1.f);
  for (int i = 0; i < 100; ++i)
    launch(double_kernel,
           {.grid = kBlocks, .block = kThreads, .shared = 4, .early = i % 7 != 3, .stream = stream},
           x.get());
  finish(stream);
  for (int i = 0; i < kCount; ++i) expect(x[i] == 0x1p100f, "element " + std::to_string(i));
}

}  // namespace

void add_early(std::vector<Case>& cases) {
  cases.push_back({"early", follow<Wait::kFirst>});
  cases.push_back({"early, barriers set up before", follow<Wait::kAfterSetup>});
  cases.push_back({"early, one warp waits for the block", follow<Wait::kBehindBarrier>});
  cases.push_back({"early, a chain", chain});
  const auto defect = [&](const char* name, void (*run)(Stream&)) {
    cases.push_back({std::string("defect: early, ") + name, run, true});
  };
  defect("no wait", follow<Wait::kNone>);
  defect("a wait behind the first read", follow<Wait::kAfterRead>);
  defect("a write before the wait", follow<Wait::kAfterWrite>);
  defect("a wait in some of the warps", follow<Wait::kSomeWarps>);
  defect("a flag looked at before the wait", follow<Wait::kAfterFlag>);
  defect("a copy begun before the wait", follow<Wait::kAfterCopy>);
  defect("nobody waits", follow<Wait::kNothing>);
}

}  // namespace srpo::cuda::test
