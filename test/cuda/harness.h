// The tests of cuda/common itself, as a program: emulated it runs everywhere, built by nvcc on a card.
#pragma once
#include <cmath>
#include <cstdint>
#include <functional>
#include <string>
#include <type_traits>
#include <vector>

#include "cpp/core/error.h"
#include "cpp/core/stream.h"
#include "cuda/common/launch.cuh"
#ifndef __CUDACC__
#include "cuda/emulation/memory.h"
#endif

namespace srpo::cuda::test {

/// The bytes that a case leaves behind: of every buffer that is alive when a wait ends.
struct Bytes {
  const void* data;
  size_t count, size;  // elements, and bytes of one
  bool floating;
};
inline std::vector<Bytes>& live_buffers() {
  static std::vector<Bytes> all;
  return all;
}

/// Memory that host and kernel see.
template <typename T>
class Buffer {
 public:
  /// `is_result`: its bytes are among those that a case leaves behind.
  explicit Buffer(size_t n, T fill = T{}, bool is_result = true) : size_(n) {
#ifdef __CUDACC__
    const cudaError_t status = cudaMallocManaged(&data_, n * sizeof(T));
    if (status != cudaSuccess)
      throw Error("ERR_OUT_OF_MEMORY",
                  std::string("test: no managed memory: ") + cudaGetErrorString(status));
#else
    data_ = static_cast<T*>(emulation::allocate(n * sizeof(T)));
#endif
    for (size_t i = 0; i < n; ++i) data_[i] = fill;
    if (is_result)
      live_buffers().push_back(
          {data_, n, sizeof(T), std::is_same_v<T, float> || std::is_same_v<T, bfloat16>});
  }
  ~Buffer() {
    std::erase_if(live_buffers(), [this](const Bytes& bytes) { return bytes.data == data_; });
#ifdef __CUDACC__
    cudaFree(data_);
#else
    emulation::release(data_, size_ * sizeof(T));
#endif
  }
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  T* get() { return data_; }
  T& operator[](size_t i) { return data_[i]; }
  size_t size() const { return size_; }

 private:
  T* data_ = nullptr;
  size_t size_;
};

/// Numbers in [-1, 1], always the same for a seed.
inline float number(uint64_t seed, uint64_t i) {
  uint64_t z = (seed << 32 ^ i) * 0x9e3779b97f4a7c15;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return static_cast<float>(static_cast<int32_t>((z ^ (z >> 31)) >> 32)) * 0x1p-31f;
}
inline void fill(Buffer<bfloat16>& buffer, uint64_t seed) {
  for (size_t i = 0; i < buffer.size(); ++i) buffer[i] = bfloat16(number(seed, i));
}

/// Throws unless the condition holds.
inline void expect(bool holds, const std::string& what) {
  if (!holds) throw Error("ERR_TEST", what);
}

struct Case {
  std::string name;
  std::function<void(Stream&)> run;
  bool defect = false;  // a planted defect: passes if it is caught
};

void add_primitives(std::vector<Case>& cases);
void add_copies(std::vector<Case>& cases);
void add_early(std::vector<Case>& cases);
void add_turns(std::vector<Case>& cases);
void add_products(std::vector<Case>& cases);
void add_gemm(std::vector<Case>& cases);
void add_gemm_columns(std::vector<Case>& cases);
void add_gemm_heads(std::vector<Case>& cases);

/// Waits for what was launched; throws what a kernel did wrong.
void finish(Stream& stream);

}  // namespace srpo::cuda::test
