#include "cuda/emulation/grid.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <iterator>
#include <map>
#include <memory>
#include <mutex>
#include <unordered_map>

#include "cpp/core/error.h"
#include "cuda/emulation/async.h"
#include "cuda/emulation/fiber.h"
#include "cuda/emulation/memory.h"
#include "cuda/emulation/scheduler.h"

namespace srpo::emulation {

Thread* current = nullptr;
Launch launched;
Scheduler scheduler;

namespace {

constexpr unsigned kPoison = 0xff;      // NaN as float32 and as bfloat16
constexpr size_t kMostShared = 232448;  // 227 KiB, of an H100
constexpr size_t kCanaryBytes = 1024;   // past the end of shared memory
constexpr unsigned kMostResident = 64;  // clusters that run at once, if some wait for others
constexpr unsigned kLooks = 64;         // one step in so many, a thread that spins looks again
constexpr unsigned kIdleRounds = 2;     // rounds of spinning without progress before we give up
// Of the places where a thread may linger, it does at one in so many: drawn for a launch.
constexpr unsigned kLinger[] = {kNeverLinger, 8, 64, 1024};
constexpr unsigned kAhead = 3;  // clusters at most that begin before the kernel before has ended
constexpr unsigned kAheadAlways = 2;  // launches of a kernel that do so for certain
constexpr unsigned kAheadOften =
    64;  // and one in so many of the others: to shut memory takes its time

uint64_t seed = [] {
  const char* text = std::getenv("SRPO_EMULATION_SEED");
  return text == nullptr ? uint64_t{1} : std::strtoull(text, nullptr, 10);
}();
uint64_t launches = 0;
std::unordered_map<const void*, unsigned> begun_early;  // launches of a kernel

// ---- fibers -------------------------------------------------------------------------------------

std::vector<std::unique_ptr<Fiber>> idle_fibers;

/// Takes the next thread of a block that has not begun; nullptr if all have.
Thread* take_fresh() {
  if (scheduler.fresh.empty()) return nullptr;
  Block* block = scheduler.fresh.back();
  Thread* thread = &block->threads[block->order[block->started++]];
  if (block->started == block->order.size()) scheduler.fresh.pop_back();
  return thread;
}

void finish(Thread* thread) {
  thread->done = true;
  ++scheduler.progress;
  async_finish(*thread);
  // The block barrier waits for threads that have not ended.
  Block& block = *thread->block;
  --block.live;
  Barrier& barrier = block.barriers[0];
  if (barrier.arrived > 0) check_barrier(barrier, block.live);
}

/// What a fiber does: runs threads, one after the other, until there is none to begin.
void fiber_main() {
  while (true) {
    Thread* thread = current;
    launched.body(launched.arguments);
    finish(thread);
    Fiber* fiber = thread->fiber;
    thread->fiber = nullptr;
    // A new thread may begin here at once, unless others have waited long enough.
    Thread* next = scheduler.ready.empty() && scheduler.background.empty() ? take_fresh() : nullptr;
    if (next == nullptr) {
      idle_fibers.emplace_back(fiber);
      fiber->leave();
    } else {
      next->fiber = fiber;
      current = next;
    }
  }
}

void resume(Thread* thread) {
  if (thread->fiber == nullptr) {
    if (idle_fibers.empty()) idle_fibers.push_back(std::make_unique<Fiber>(fiber_main));
    thread->fiber = idle_fibers.back().release();
    idle_fibers.pop_back();
  }
  current = thread;
  thread->waits_for = nullptr;
  thread->fiber->enter();
  current = nullptr;
}

// ---- blocks -------------------------------------------------------------------------------------

struct FreeShared {
  void operator()(unsigned char* p) const { std::free(p); }
};
std::vector<std::unique_ptr<unsigned char, FreeShared>> idle_shared;

std::unique_ptr<Block> begin_block(Index index) {
  auto block = std::make_unique<Block>();
  const Index size = launched.block;
  const unsigned threads = size.x * size.y * size.z;
  block->index = index;
  block->live = threads;
  block->warps.resize(threads / kWarpSize);
  block->threads.resize(threads);
  block->order.resize(threads);
  for (unsigned rank = 0; rank < threads; ++rank) {
    Thread& thread = block->threads[rank];
    thread.index = {rank % size.x, rank / size.x % size.y, rank / size.x / size.y};
    thread.rank = rank;
    thread.block = block.get();
    thread.warp = &block->warps[rank / kWarpSize];
    block->order[rank] = rank;
  }
  for (unsigned i = threads; i > 1; --i) std::swap(block->order[i - 1], block->order[draw(i)]);
  if (idle_shared.empty())
    idle_shared.emplace_back(static_cast<unsigned char*>(std::aligned_alloc(1024, 256 << 10)));
  block->shared = idle_shared.back().release();
  idle_shared.pop_back();
  std::memset(block->shared, kPoison, launched.shared + kCanaryBytes);
  std::memset(block->scratch, kPoison, kScratchBytes);
  scheduler.fresh.push_back(block.get());
  return block;
}

void end_block(Block& block) {
  for (size_t i = 0; i < kCanaryBytes; ++i)
    if (block.shared[launched.shared + i] != kPoison)
      throw Error("ERR_KERNEL", "block " + text_of(block.index) + ": byte " +
                                    std::to_string(launched.shared + i) +
                                    " of shared memory was written, of " +
                                    std::to_string(launched.shared) + " that it has");
  async_end(block);
  idle_shared.emplace_back(block.shared);
  block.shared = nullptr;
}

struct Resident {
  Cluster cluster;
  std::vector<std::unique_ptr<Block>> blocks;
  bool ended() const {
    return std::all_of(blocks.begin(), blocks.end(), [](const auto& b) { return b->live == 0; });
  }
};

/// "0-31, 40"
std::string ranges(const std::vector<unsigned>& sorted) {
  std::string text;
  for (size_t i = 0; i < sorted.size();) {
    size_t j = i;
    while (j + 1 < sorted.size() && sorted[j + 1] == sorted[j] + 1) ++j;
    text += (text.empty() ? "" : ", ") + std::to_string(sorted[i]);
    if (j > i) text += "-" + std::to_string(sorted[j]);
    i = j + 1;
  }
  return text;
}

std::string deadlock(const std::vector<std::unique_ptr<Resident>>& residents) {
  std::string text = "deadlock:";
  for (const auto& resident : residents)
    for (const auto& block : resident->blocks) {
      if (block->live == 0) continue;
      std::map<std::string, std::vector<unsigned>> waits;
      for (const Thread& thread : block->threads) {
        std::string what = "ended";
        if (!thread.done) {
          what = std::string("wait for ") + (thread.waits_for ? thread.waits_for : "nothing");
          const std::string which = thread.waits_for ? async_text(thread) : "";
          what += which.empty() ? "" : " " + which;
        }
        waits[what].push_back(thread.rank);
      }
      text += " block " + text_of(block->index);
      for (const auto& [what, threads] : waits) text += "; threads " + ranges(threads) + " " + what;
      if (text.size() > 2000) return text + " ...";
    }
  return text;
}

void abandon(std::vector<std::unique_ptr<Resident>>& residents) {
  // Fibers that stopped half way start over; what their kernels had on the stack owned nothing.
  for (auto& resident : residents)
    for (auto& block : resident->blocks) {
      for (Thread& thread : block->threads)
        if (thread.fiber != nullptr) {
          thread.fiber->reset();
          idle_fibers.emplace_back(thread.fiber);
          thread.fiber = nullptr;
          async_finish(thread);
        }
      if (block->shared != nullptr) {
        async_end(*block);
        idle_shared.emplace_back(block->shared);
      }
    }
  residents.clear();
}

void check_launch(const Launch& launch) {
  const auto refuse = [](const std::string& what) { throw Error("ERR_KERNEL", "launch: " + what); };
  const auto& [grid, block, cluster] = std::tie(launch.grid, launch.block, launch.cluster);
  const unsigned threads = block.x * block.y * block.z;
  if (threads == 0 || threads > 1024 || threads % kWarpSize != 0 || block.z > 64)
    refuse("expected whole warps, at most 1024 threads a block, got " + text_of(block));
  if (grid.x == 0 || grid.y == 0 || grid.z == 0 || grid.y > 65535 || grid.z > 65535)
    refuse("expected a grid of at least one block, at most 65535 in y and z, got " + text_of(grid));
  if (cluster.x * cluster.y * cluster.z > 8 || grid.x % cluster.x != 0 || grid.y % cluster.y != 0 ||
      grid.z % cluster.z != 0)
    refuse("expected a grid of whole clusters of at most 8 blocks, got " + text_of(grid) + " of " +
           text_of(cluster));
  if (launch.shared > kMostShared)
    refuse("expected at most " + std::to_string(kMostShared) + " bytes of shared memory, got " +
           std::to_string(launch.shared));
}

std::unique_ptr<Resident> begin_cluster(uint64_t number) {
  const auto& [grid, cluster] = std::tie(launched.grid, launched.cluster);
  const uint64_t across = grid.x / cluster.x, down = grid.y / cluster.y;
  const Index at = {static_cast<unsigned>(number % across) * cluster.x,
                    static_cast<unsigned>(number / across % down) * cluster.y,
                    static_cast<unsigned>(number / across / down) * cluster.z};
  auto resident = std::make_unique<Resident>();
  for (unsigned z = 0; z < cluster.z; ++z)
    for (unsigned y = 0; y < cluster.y; ++y)
      for (unsigned x = 0; x < cluster.x; ++x) {
        resident->blocks.push_back(begin_block({at.x + x, at.y + y, at.z + z}));
        Block& block = *resident->blocks.back();
        block.cluster = &resident->cluster;
        block.rank = static_cast<unsigned>(resident->cluster.blocks.size());
        resident->cluster.blocks.push_back(&block);
      }
  return resident;
}

void complete_due(uint64_t until) {
  auto& all = scheduler.background;
  for (size_t i = 0; i < all.size();) {
    if (all[i].due > until) {
      ++i;
      continue;
    }
    const Background work = all[i];
    all[i] = all.back();
    all.pop_back();
    ++scheduler.progress;
    work.complete(work.context);
  }
}

/// Of its warpgroup, in this launch.
uint64_t precedence(const Thread& thread) {
  const Index& at = thread.block->index;
  return mixed(scheduler.late + (uint64_t{at.x} << 8 ^ uint64_t{at.y} << 24 ^ uint64_t{at.z} << 40 ^
                                 thread.rank / 128) *
                                    kGolden);
}

/// Lets one thread go on, or something in the background end; false if nothing can.
bool step() {
  ++scheduler.clock;
  complete_due(scheduler.clock);
  auto& ready = scheduler.ready;
  auto& spinning = scheduler.spinning;
  if (!spinning.empty() && !ready.empty() && draw(kLooks) == 0) {
    // It looks again while others write what it waits for.
    std::swap(spinning[draw(static_cast<unsigned>(spinning.size()))], spinning.back());
    ready.push_back(spinning.back());
    spinning.pop_back();
  }
  const size_t choices = ready.size() + (scheduler.fresh.empty() ? 0 : 1);
  if (choices > 0) {
    const size_t chosen = draw(static_cast<unsigned>(choices));
    if (chosen == ready.size()) {
      if (scheduler.fresh.size() > 1)
        std::swap(scheduler.fresh[draw(static_cast<unsigned>(scheduler.fresh.size()))],
                  scheduler.fresh.back());
      resume(take_fresh());
    } else {
      Thread* thread = ready[chosen];
      ready[chosen] = ready.back();
      ready.pop_back();
      resume(thread);
    }
    return true;
  }
  // All wait: for a thread that lingers, or for something in the background, of what is left to the last any.
  auto& lingering = scheduler.lingering;
  auto& background = scheduler.background;
  if (!lingering.empty() && (background.empty() || draw(2) == 0)) {
    // Mostly of the warpgroup that comes first in this launch: it gets as far ahead as it can.
    auto chosen = lingering.begin() + draw(static_cast<unsigned>(lingering.size()));
    if (draw(8) != 0)
      chosen = std::min_element(lingering.begin(), lingering.end(), [](Thread* a, Thread* b) {
        return precedence(*a) < precedence(*b);
      });
    wake(*chosen);
    *chosen = lingering.back();
    lingering.pop_back();
    return true;
  }
  if (background.empty()) return false;
  uint64_t first = kNever;
  for (const Background& work : background) first = std::min(first, work.due);
  if (first == kNever && !spinning.empty() && draw(2) == 0) {
    ready.swap(spinning);  // ready is empty
    return true;
  }
  if (first == kNever)
    background[draw(static_cast<unsigned>(background.size()))].due = first = scheduler.clock;
  scheduler.clock = std::max(scheduler.clock, first);
  complete_due(scheduler.clock);
  return true;
}

/// The clusters in an order that does not repeat: a step that shares no divisor with their number.
struct Order {
  uint64_t count, at, stride, left;
  explicit Order(uint64_t n) : count(n), at(next_random() % n), stride(1), left(n) {
    uint64_t wanted = next_random() % n;
    while (std::__gcd(wanted, n) != 1) ++wanted;
    stride = wanted;
  }
  uint64_t next() {
    --left;
    at = (at + stride) % count;
    return at;
  }
};

// ---- early launches -----------------------------------------------------------------------------
//
// On a card the blocks of such a kernel may begin while the one before still runs. Here the one before has run,
// but its end is not told until every thread of the first blocks waits for it, has ended, or waits for such a
// thread; whoever touches global memory until then is caught, whatever lies there.

void begin_early() {
  const unsigned times = begun_early[launched.kernel]++;
  if (times >= kAheadAlways && draw(kAheadOften) != 0) return;
  scheduler.earlier_runs = true;
  shut_memory([](bool writes) {
    if (current != nullptr)
      fail(std::string(writes ? "writes to" : "reads") +
           " global memory, and has not waited for the kernel before: wait_for_earlier_kernel()");
  });
}

void end_earlier() {
  open_memory();
  scheduler.earlier_runs = false;
  wake_all(scheduler.behind);
}

void run_all(std::vector<std::unique_ptr<Resident>>& residents) {
  const auto& [grid, cluster] = std::tie(launched.grid, launched.cluster);
  Order order(uint64_t{grid.x / cluster.x} * (grid.y / cluster.y) * (grid.z / cluster.z));
  unsigned idle = 0;
  uint64_t before = 0;
  if (launched.early) begin_early();
  const unsigned first = scheduler.earlier_runs ? 1 + draw(kAhead) : 1;
  while (order.left > 0 || !residents.empty()) {
    if (residents.empty())
      for (unsigned i = 0; i < first && order.left > 0; ++i)
        residents.push_back(begin_cluster(order.next()));
    while (step())
      if (!scheduler.failure.empty()) throw Error("ERR_KERNEL", scheduler.failure);
    if (!scheduler.behind.empty()) {
      end_earlier();
      continue;
    }
    // Nothing can go on: blocks have ended, wait for blocks that have not begun, or wait for ever.
    const size_t count = residents.size();
    for (auto& resident : residents)
      if (resident->ended())
        for (auto& block : resident->blocks) end_block(*block);
    std::erase_if(residents, [](const auto& resident) { return resident->ended(); });
    if (residents.size() < count || residents.empty()) continue;
    idle = scheduler.progress == before ? idle + 1 : 0;
    before = scheduler.progress;
    if (scheduler.spinning.empty() || (idle > kIdleRounds && order.left == 0) ||
        (idle > kIdleRounds && residents.size() >= kMostResident))
      throw Error("ERR_KERNEL", deadlock(residents));
    if (order.left > 0 && residents.size() < kMostResident)
      residents.push_back(begin_cluster(order.next()));
    for (Thread* thread : scheduler.spinning) scheduler.ready.push_back(thread);
    scheduler.spinning.clear();
  }
  if (launched.early && !scheduler.waited)
    throw Error("ERR_KERNEL",
                "launch: no thread of a kernel that begins early has waited for the kernel before");
}

}  // namespace

void set_seed(uint64_t value) {
  seed = value;
  launches = 0;
  begun_early.clear();
}

void run(const Launch& launch) {
  static std::mutex one_at_a_time;
  const std::lock_guard lock(one_at_a_time);
  check_launch(launch);
  launched = launch;
  scheduler = Scheduler{};
  scheduler.random = seed * kGolden + launches++;
  scheduler.late = next_random();
  scheduler.lingers = kLinger[draw(std::size(kLinger))];
  std::vector<std::unique_ptr<Resident>> residents;
  try {
    run_all(residents);
    open_memory();
  } catch (...) {
    current = nullptr;
    open_memory();
    abandon(residents);
    throw;
  }
}

}  // namespace srpo::emulation
