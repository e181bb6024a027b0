#pragma once
#include <cstdint>
#include <memory>
#include <new>

namespace srpo::cpu {

/// At least n floats on a cache line, of this thread, as the last call left them; valid until the
/// thread asks again.
inline float* scratch(int64_t n) {
  struct Free {
    void operator()(float* p) const { ::operator delete(p, std::align_val_t{64}); }
  };
  thread_local std::unique_ptr<float, Free> memory;
  thread_local int64_t size = 0;
  if (size < n) {
    memory.reset();
    size = 0;
    memory.reset(static_cast<float*>(::operator new(n * sizeof(float), std::align_val_t{64})));
    size = n;
  }
  return memory.get();
}

}  // namespace srpo::cpu
