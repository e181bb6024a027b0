// A launch on the emulated device: its blocks, their warps and threads, and the scheduler that runs
// them. Kernels reach it through cuda/common only.
//
// A thread is a fiber. It runs until it must wait, so a barrier that is missing shows: the threads
// are taken in an order that a seed draws, shared memory starts as NaN, and what is copied or
// multiplied in the background ends as late as the rules allow.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

namespace srpo::emulation {

struct Index {
  unsigned x, y, z;
};

struct Block;
struct Thread;
class Fiber;
struct AsyncWork;

/// Threads that wait for one another: those of a warp, a warpgroup, a cluster.
struct Rendezvous {
  const char* kind = nullptr;  // what the first to come does here
  unsigned arrived = 0;
  void* payload[128];
  std::vector<Thread*> waiting;
};

struct Warp {
  Rendezvous collective;
};

struct Thread {
  Index index;
  unsigned rank;  // in its block
  Block* block;
  Warp* warp;
  Fiber* fiber = nullptr;
  bool done = false;
  const char* waits_for = nullptr;  // and which one
  uint64_t which = 0;
  AsyncWork* async = nullptr;  // copies and products in flight, made when first used
};

/// The one that runs now. A launch runs on one thread of the host.
extern Thread* current;

struct Barrier {
  unsigned expected = 0;
  unsigned arrived = 0;
  std::vector<Thread*> waiting;
};

constexpr unsigned kWarpSize = 32;
constexpr unsigned kNamedBarriers = 16;
constexpr unsigned kScratchBytes = 1024;

struct Cluster;
struct AsyncBlock;

struct Block {
  Index index;
  unsigned live = 0;     // threads that have not ended
  unsigned started = 0;  // threads that have begun
  std::vector<unsigned> order;
  std::vector<Thread> threads;
  std::vector<Warp> warps;
  Barrier barriers[kNamedBarriers];
  unsigned char* shared = nullptr;
  unsigned char scratch[kScratchBytes];  // what cuda/common keeps in static shared memory
  Cluster* cluster = nullptr;
  unsigned rank = 0;            // in its cluster
  AsyncBlock* async = nullptr;  // mbarriers and what else lives in shared memory
};

struct Cluster {
  std::vector<Block*> blocks;
  Rendezvous barrier;
};

struct Launch {
  Index grid, block, cluster;
  size_t shared = 0;   // bytes of dynamic shared memory a block
  bool early = false;  // it may begin before the kernel before has ended
  const void* kernel = nullptr;
  void (*body)(const void* arguments);
  const void* arguments;
};
/// The shape of the launch that runs now.
extern Launch launched;

/// Runs a launch to its end. Throws ERR_KERNEL with what a thread did wrong, or with what each thread
/// waits for if none can go on.
void run(const Launch& launch);
/// Draws the schedules from here on (SRPO_EMULATION_SEED is where a process starts).
void set_seed(uint64_t seed);

// For the wrappers, on the fiber of `current`:

/// Ends the launch with an error.
[[noreturn]] void fail(const std::string& what);
/// Waits until another thread wakes this one.
void wait(const char* what, uint64_t which = 0);
void wake(Thread* thread);
void wake_all(std::vector<Thread*>& threads);
/// Waits until something else has happened; for loops over memory that another block writes.
void spin();
/// A number below n, from the schedule's generator.
unsigned draw(unsigned n);
/// Where a thread has told others something, or they it: now and then it goes on only when no other can.
void linger();
/// Whether what goes by this number is late throughout the launch: one in four are.
bool always_late(uint64_t number);
/// Work in the background: `complete(context)` runs some steps later, at the latest when all wait; kAtLast: then.
constexpr unsigned kAtLast = ~0u;
void later(unsigned delay, void (*complete)(void*), void* context);

/// Waits until the kernel before has ended, of a launch that began early.
void wait_for_earlier();
/// Fails while this thread has not waited for it: for what touches global memory in the background, or `at`
/// if that is no shared memory.
void touch_global(const char* what);
void touch(const void* at, const char* what);

/// Lets those go on that wait at a barrier to which all that it is for have come.
void check_barrier(Barrier& barrier, unsigned expected);
void barrier_sync(unsigned id, unsigned threads);
void barrier_arrive(unsigned id, unsigned threads);
void block_barrier();

/// Waits for `size` threads; the last to come runs `execute` over what all have brought, in the order
/// of `place`. All must bring the same `kind`.
void meet(Rendezvous& here, const char* kind, unsigned size, unsigned place, void* payload,
          void (*execute)(void* const* payloads));

/// The same among the 32 lanes of the warp.
template <typename Payload>
void meet_warp(const char* kind, Payload& payload, void (*execute)(void* const*)) {
  meet(current->warp->collective, kind, kWarpSize, current->rank % kWarpSize, &payload, execute);
}

/// Fails unless [pointer, pointer + bytes) lies in the block's shared memory; the offset in it.
unsigned shared_offset(const void* pointer, size_t bytes, const char* what);

}  // namespace srpo::emulation
