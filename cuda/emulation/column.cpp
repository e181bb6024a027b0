// What the addon finds in the emulated device's library: the cuda column, compiled for the host.
#include "cpp/emulated/column.h"
#include "cuda/emulation/grid.h"
#include "cuda/emulation/memory.h"
#include "cuda/op_table.h"

extern "C" [[gnu::visibility("default")]] const srpo::OpTable* srpo_emulated_column(
    uint64_t signature) {
  return signature == srpo::emulated::column_signature() ? &srpo::cuda::op_table() : nullptr;
}

extern "C" [[gnu::visibility("default")]] void srpo_emulated_seed(uint64_t seed) {
  srpo::emulation::set_seed(seed);
}

extern "C" [[gnu::visibility("default")]] const srpo::emulated::Memory* srpo_emulated_memory() {
  static constexpr srpo::emulated::Memory memory = {
      srpo::emulation::allocate, srpo::emulation::release, srpo::emulation::shrink};
  return &memory;
}
