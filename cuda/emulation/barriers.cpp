// Threads that wait for one another: barriers of a block, and the groups of cuda/common that meet.
#include <cstring>

#include "cuda/emulation/grid.h"

namespace srpo::emulation {

void check_barrier(Barrier& barrier, unsigned expected) {
  if (barrier.arrived < expected) return;
  barrier.arrived = 0;
  barrier.expected = 0;
  wake_all(barrier.waiting);
}

namespace {

/// Counts a thread in; true if it was the last.
void arrive(Barrier& barrier, unsigned id, unsigned threads) {
  if (barrier.arrived > 0 && barrier.expected != threads)
    fail("barrier " + std::to_string(id) + ": expected " + std::to_string(barrier.expected) +
         " threads as those that wait there, got " + std::to_string(threads));
  barrier.expected = threads;
  if (++barrier.arrived > threads)
    fail("barrier " + std::to_string(id) + ": more threads arrive than the " +
         std::to_string(threads) + " that it is for");
}

void check_named(unsigned id, unsigned threads) {
  if (id == 0 || id >= kNamedBarriers)
    fail("barrier: expected a number from 1 to 15, got " + std::to_string(id));
  if (threads % kWarpSize != 0 || threads == 0 || threads > current->block->threads.size())
    fail("barrier: expected whole warps of the block, got " + std::to_string(threads) + " threads");
}

void sync(Barrier& barrier, const char* what, unsigned id, unsigned threads) {
  arrive(barrier, id, threads);
  if (barrier.arrived == threads) {
    check_barrier(barrier, threads);
  } else {
    barrier.waiting.push_back(current);
    wait(what, id);
  }
  linger();
}

}  // namespace

void block_barrier() {
  Block& block = *current->block;
  Barrier& barrier = block.barriers[0];
  if (barrier.arrived > 0) barrier.expected = block.live;  // some may have ended since
  sync(barrier, "the block barrier", 0, block.live);
}

void barrier_sync(unsigned id, unsigned threads) {
  check_named(id, threads);
  sync(current->block->barriers[id], "barrier", id, threads);
}

void barrier_arrive(unsigned id, unsigned threads) {
  check_named(id, threads);
  Barrier& barrier = current->block->barriers[id];
  arrive(barrier, id, threads);
  check_barrier(barrier, threads);
  linger();
}

void meet(Rendezvous& here, const char* kind, unsigned size, unsigned place, void* payload,
          void (*execute)(void* const* payloads)) {
  if (here.arrived > 0 && std::strcmp(here.kind, kind) != 0)
    fail(std::string(kind) + ": others of the group are at " + here.kind +
         "; all must come to the same place");
  here.kind = kind;
  here.payload[place] = payload;
  if (++here.arrived < size) {
    here.waiting.push_back(current);
    wait(kind);
    return;
  }
  if (execute != nullptr) execute(here.payload);
  here.arrived = 0;
  wake_all(here.waiting);
}

}  // namespace srpo::emulation
