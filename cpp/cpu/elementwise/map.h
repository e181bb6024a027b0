#pragma once
#include "cpp/cpu/elementwise/map_kernels.h"
#include "cpp/cpu/isa.h"

namespace srpo::cpu {

/// Elements that a thread takes at once.
constexpr int64_t kMapGrain = 1 << 14;

inline const MapTables& map_tables() {
  static const MapTables& best = best_of(map_generic, map_avx2, map_avx512);
  return best;
}

template <typename T>
const MapKernels<T>& map_kernels() {
  if constexpr (sizeof(T) == 4)
    return map_tables().f32;
  else
    return map_tables().bf16;
}

}  // namespace srpo::cpu
