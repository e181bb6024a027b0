// mbarriers, cp.async, clusters, and what is checked when a thread or a block ends.
#include "cuda/emulation/async.h"

#include <cstring>

#include "cuda/emulation/async_state.h"

namespace srpo::emulation {
namespace {

constexpr unsigned kPoison = 0xff;
constexpr uint64_t kMark =
    0x5352504f5f626172;  // in the barrier's own 8 bytes: nobody may write there

MbarrierState& state_of(Block& block, unsigned offset) {
  auto& all = async_block(block).mbarriers;
  const auto found = all.find(offset);
  if (found == all.end())
    fail("mbarrier at " + std::to_string(offset) + ": it was not initialised");
  uint64_t mark;
  std::memcpy(&mark, block.shared + offset, sizeof mark);
  if (mark != kMark) fail("mbarrier at " + std::to_string(offset) + ": it was written over");
  return found->second;
}

void check_phase(MbarrierState& b) {
  if (b.pending > 0 || b.bytes != 0) return;
  b.phase ^= 1;
  b.pending = b.arrivals;
  auto waiting = std::move(b.waiting);
  b.waiting.clear();
  for (const auto& [thread, parity] : waiting)
    if (parity == b.phase)
      b.waiting.emplace_back(thread, parity);
    else
      wake(thread);
}

void arrive_at(Block& block, unsigned offset, int bytes) {
  MbarrierState& b = state_of(block, offset);
  if (b.pending == 0)
    fail("mbarrier at " + std::to_string(offset) + ": more arrivals than the " +
         std::to_string(b.arrivals) + " of a phase");
  b.bytes += bytes;
  --b.pending;
  check_phase(b);
}

unsigned barrier_offset(const void* barrier) {
  const unsigned offset = shared_offset(barrier, 8, "mbarrier");
  if (offset % 8 != 0) fail("mbarrier: expected 8-byte alignment");
  return offset;
}

Block& peer(unsigned rank) {
  const auto& blocks = current->block->cluster->blocks;
  if (rank >= blocks.size())
    fail("cluster: expected a rank below " + std::to_string(blocks.size()) + ", got " +
         std::to_string(rank));
  Block& block = *blocks[rank];
  if (block.live == 0) fail("cluster: block " + std::to_string(rank) + " has ended");
  return block;
}

}  // namespace

// ---- ends ---------------------------------------------------------------------------------------

void async_finish(Thread& thread) {
  if (thread.async == nullptr) return;
  AsyncWork& work = *thread.async;
  bool reads = false;
  for (const auto& group : work.stores.all)
    for (const BulkStore& store : group) reads = reads || store.bytes.empty();
  // Without a current thread the launch is given up.
  if (current != nullptr) bulk_end(work);
  const char* left = !work.products.empty() ? "wgmma"
                     : reads                ? "stores of the copy engine"
                     : !work.copies.empty() ? "copy_async"
                                            : nullptr;
  delete thread.async;
  thread.async = nullptr;
  // Without a current thread the launch is given up, and nobody waits for anything.
  if (left != nullptr && current != nullptr)
    fail(std::string("it ended with ") + left + " that it did not wait for");
}

void async_end(Block& block) {
  delete block.async;
  block.async = nullptr;
}

std::string async_text(const Thread& thread) {
  if (std::strcmp(thread.waits_for, "mbarrier") == 0) {
    const auto offset = static_cast<unsigned>(thread.which >> 1);
    std::string text =
        "at " + std::to_string(offset) + ", parity " + std::to_string(thread.which & 1);
    const auto& all = thread.block->async->mbarriers;
    if (const auto found = all.find(offset); found != all.end())
      text += " (" + std::to_string(found->second.pending) + " of " +
              std::to_string(found->second.arrivals) + " arrivals and " +
              std::to_string(found->second.bytes) + " bytes to come)";
    return text;
  }
  return std::strcmp(thread.waits_for, "barrier") == 0 ? std::to_string(thread.which) : "";
}

// ---- mbarrier -----------------------------------------------------------------------------------

void mbarrier_init(void* barrier, int arrivals) {
  const unsigned offset = barrier_offset(barrier);
  if (arrivals < 1) fail("mbarrier: expected at least one arrival");
  MbarrierState& b = async_block(*current->block).mbarriers[offset];
  if (!b.waiting.empty()) fail("mbarrier: it is initialised while threads wait for it");
  b = MbarrierState{};
  b.arrivals = b.pending = static_cast<unsigned>(arrivals);
  std::memcpy(barrier, &kMark, sizeof kMark);
}

void mbarrier_arrive(void* barrier, int bytes) {
  arrive_at(*current->block, barrier_offset(barrier), bytes);
  linger();
}

void mbarrier_arrive_remote(void* barrier, unsigned rank) {
  arrive_at(peer(rank), barrier_offset(barrier), 0);
  linger();
}

void mbarrier_wait(void* barrier, unsigned parity) {
  const unsigned offset = barrier_offset(barrier);
  MbarrierState& b = state_of(*current->block, offset);
  if (b.phase == (parity & 1)) {
    b.waiting.emplace_back(current, parity & 1);
    wait("mbarrier", uint64_t{offset} << 1 | (parity & 1));
  }
  linger();
}

void mbarrier_complete(Block& block, unsigned offset, int64_t bytes) {
  const auto found = async_block(block).mbarriers.find(offset);
  if (found == async_block(block).mbarriers.end()) return;
  found->second.bytes -= bytes;
  check_phase(found->second);
}

// ---- cp.async -----------------------------------------------------------------------------------

void copy_async(void* shared, const void* global, bool inside) {
  touch_global("copy_async");
  const unsigned offset = shared_offset(shared, 16, "copy_async");
  if (offset % 16 != 0 || (inside && reinterpret_cast<uintptr_t>(global) % 16 != 0))
    fail("copy_async: expected both sides aligned to 16 bytes");
  std::memset(shared, kPoison, 16);
  async_work().copies.all.back().push_back(
      {static_cast<unsigned char*>(shared), inside ? global : nullptr});
}

void copy_commit() {
  async_work().copies.commit();
}

void copy_wait(int groups) {
  auto& copies = async_work().copies;
  const size_t due = copies.due(groups);
  for (size_t group = 0; group < due; ++group)
    for (const CopyAsync& copy : copies.all[group])
      if (copy.from == nullptr)
        std::memset(copy.to, 0, 16);
      else
        std::memcpy(copy.to, copy.from, 16);
  copies.drop(due);
}

// ---- clusters -----------------------------------------------------------------------------------

void cluster_barrier() {
  Cluster& cluster = *current->block->cluster;
  const auto threads = static_cast<unsigned>(current->block->threads.size());
  meet(cluster.barrier, "cluster_barrier", threads * static_cast<unsigned>(cluster.blocks.size()),
       0, nullptr, nullptr);
}

void* map_shared(void* shared, unsigned rank) {
  return peer(rank).shared + shared_offset(shared, 1, "map_shared");
}

}  // namespace srpo::emulation
