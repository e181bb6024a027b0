// Bytes moved in units as wide as their places allow: what the layout ops and the embedding share.
#pragma once
#include <initializer_list>

#include "cuda/elementwise/map.cuh"

namespace srpo::cuda {

/// A unit of so many bytes.
template <int kBytes>
struct alignas(kBytes) Unit {
  unsigned char bytes[kBytes];
};

/// Calls f.template operator()<Unit>() with the widest unit, 16 bytes at most, that all of these begin
/// at and are made of. For launchers.
template <typename F>
void visit_unit(std::initializer_list<const void*> pointers, std::initializer_list<int64_t> sizes,
                const F& f) {
  uint64_t all = 16;
  for (const void* pointer : pointers) all |= reinterpret_cast<uintptr_t>(pointer);
  for (const int64_t size : sizes) all |= static_cast<uint64_t>(size);
  const uint64_t widest = all & (~all + 1);
  if (widest == 16) return f.template operator()<Unit<16>>();
  if (widest == 8) return f.template operator()<Unit<8>>();
  if (widest == 4) return f.template operator()<Unit<4>>();
  if (widest == 2) return f.template operator()<Unit<2>>();
  return f.template operator()<Unit<1>>();
}

/// Sizes in units.
template <typename U>
__global__ void copy_pieces_kernel(U* to, const U* from, int64_t to_step, int64_t from_step,
                                   int64_t size, int64_t n) {
  wait_for_earlier_kernel();
  map<1>(n, false, [=]<int>(int64_t i) {
    const int64_t piece = i / size, at = i % size;
    to[piece * to_step + at] = from[piece * from_step + at];
  });
}

/// Copies `count` pieces of `bytes` each, whose starts lie `to_step` and `from_step` bytes apart.
inline void copy_pieces(char* to, int64_t to_step, const char* from, int64_t from_step,
                        int64_t count, int64_t bytes, Stream& stream) {
  visit_unit({to, from}, {to_step, from_step, bytes}, [&]<typename U>() {
    const int64_t unit = sizeof(U), n = count * (bytes / unit);
    launch(copy_pieces_kernel<U>, map_config<1>(n, stream), reinterpret_cast<U*>(to),
           reinterpret_cast<const U*>(from), to_step / unit, from_step / unit, bytes / unit, n);
  });
}

/// Rows of `row` units that are 0 but for `piece` units from start(row) on.
template <typename U, typename Start>
SRPO_DEVICE void place_pieces(U* to, const U* from, int64_t row, int64_t piece, int64_t n,
                              const Start& start) {
  map<1>(n, false, [=]<int>(int64_t i) {
    const int64_t r = i / row, at = i % row - start(r);
    to[i] = at >= 0 && at < piece ? from[r * piece + at] : U{};
  });
}

}  // namespace srpo::cuda
