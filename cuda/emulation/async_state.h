// The background work of a block and of a thread.
#pragma once
#include <memory>
#include <unordered_map>
#include <vector>

#include "cuda/emulation/async.h"

namespace srpo::emulation {

struct MbarrierState {
  unsigned arrivals = 0;                              // of a phase
  unsigned pending = 0;                               // of this phase
  int64_t bytes = 0;                                  // announced and not yet copied
  unsigned phase = 0;                                 // parity of the phase that goes on
  std::vector<std::pair<Thread*, unsigned>> waiting;  // and the parity each waits for
};

struct AsyncBlock {
  std::unordered_map<unsigned, MbarrierState> mbarriers;  // by offset in shared memory
  Rendezvous warpgroups[8];
};

struct CopyAsync {
  unsigned char* to;
  const void* from;  // null: zeros
};

/// A box on its way to global memory.
struct BulkStore {
  TensorMap map;
  int at[5];
  const unsigned char* from;
  unsigned offset;  // of `from` in shared memory
  bool adds;
  std::vector<unsigned char> bytes;  // as they are without a swizzle, once they are read
};

/// What a product reads in shared memory: a, unless it is in registers, and b transposed, n of its columns.
struct Operands {
  float a[64][16];
  alignas(32) float b[16][256];
};

struct Product {
  float* d;
  int n;
  uint64_t a, b;
  bool a_in_registers;
  unsigned registers[4];
  int major_a, major_b;
  bool accumulate;
  std::vector<float> value;  // of d before it, unless an earlier product in flight will give it
  std::shared_ptr<Operands> read;  // if they were read when it was issued
};

/// Groups of work, oldest first; the last one is open.
template <typename Work>
struct Groups {
  std::vector<std::vector<Work>> all{1};
  void commit() { all.emplace_back(); }
  bool empty() const { return all.size() == 1 && all[0].empty(); }
  /// Groups that a wait for all but `kept` has to end.
  size_t due(int kept) const {
    const size_t closed = all.size() - 1;
    return closed > static_cast<size_t>(kept) ? closed - static_cast<size_t>(kept) : 0;
  }
  void drop(size_t count) { all.erase(all.begin(), all.begin() + static_cast<int64_t>(count)); }
};

struct AsyncWork {
  Groups<CopyAsync> copies;
  Groups<BulkStore> stores;
  Groups<Product> products;
};

inline AsyncWork& async_work() {
  if (current->async == nullptr) current->async = new AsyncWork;
  return *current->async;
}
inline AsyncBlock& async_block(Block& block) {
  if (block.async == nullptr) block.async = new AsyncBlock;
  return *block.async;
}

/// Where the hardware puts the byte that lies at `offset` of shared memory without a swizzle: bits 4..
/// exclusive or bits 7.., one, two or three of them.
inline unsigned swizzled(unsigned offset, int swizzle) {
  const unsigned mask = (1u << swizzle) - 1;
  return offset ^ ((offset >> 7 & mask) << 4);
}

/// A thread has ended: its stores that have read shared memory go on without it.
void bulk_end(AsyncWork& work);
/// The phase of a barrier of `block` that `bytes` have been copied for.
void mbarrier_complete(Block& block, unsigned offset, int64_t bytes);

}  // namespace srpo::emulation
