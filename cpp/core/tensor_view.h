#pragma once
#include <array>
#include <cstdint>
#include <string>

#include "cpp/core/device.h"
#include "cpp/core/dtype.h"

namespace srpo {

constexpr int kMaxRank = 6;

/// Where a dense, row-major tensor lies and what it is; owns nothing. An op's parameters hold these,
/// so that they can be copied into a queue by value. A default one is "not given" (rank -1).
struct TensorView {
  void* pointer = nullptr;
  int64_t dims[kMaxRank] = {};
  int8_t rank = -1;
  DType dtype = DType::kFloat32;
  Device device;

  explicit operator bool() const { return rank >= 0; }

  template <typename T>
  T* data() const {
    return static_cast<T*>(pointer);
  }
  int64_t numel() const {
    int64_t n = 1;
    for (int i = 0; i < rank; ++i) n *= dims[i];
    return n;
  }
  int64_t bytes() const { return numel() * static_cast<int64_t>(size_of(dtype)); }
  /// dims[i]; negative counts from the end.
  int64_t dim(int i) const { return dims[i < 0 ? rank + i : i]; }
  /// Product of all sizes but the last `trailing`.
  int64_t rows(int trailing = 1) const {
    int64_t n = 1;
    for (int i = 0; i < rank - trailing; ++i) n *= dims[i];
    return n;
  }
  /// The N sizes; an op checks the rank first (check.h).
  template <int N>
  std::array<int64_t, N> sizes() const {
    std::array<int64_t, N> out;
    for (int i = 0; i < N; ++i) out[i] = dims[i];
    return out;
  }
};

/// "[2, 96]"
inline std::string shape_text(const int64_t* dims, int rank) {
  std::string text = "[";
  for (int i = 0; i < rank; ++i) text += (i ? ", " : "") + std::to_string(dims[i]);
  return text + "]";
}
inline std::string shape_text(const TensorView& t) {
  return shape_text(t.dims, t.rank);
}

}  // namespace srpo
