// The one way a kernel is started, on the card and emulated.
//
//   launch(kernel<T>, {.grid = rows, .block = 256, .shared = sizeof(Parts), .stream = stream},
//          y, x, D);
//
// Outputs first, then inputs, then sizes, then scalars; each is converted to its parameter's type.
#pragma once
#include <cstddef>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "cpp/core/error.h"
#include "cpp/core/stream.h"
#include "cuda/common/target.cuh"

namespace srpo::cuda {

/// Blocks of a grid, threads of a block.
struct Extent {
  int64_t x, y, z;
  Extent(int64_t x = 1, int64_t y = 1, int64_t z = 1) : x(x), y(y), z(z) {}
};

struct LaunchConfig {
  Extent grid;
  Extent block;        // whole warps
  size_t shared = 0;   // bytes of dynamic shared memory a block
  Extent cluster = 1;  // blocks of a cluster
  bool early =
      false;  // its blocks may start as those of the kernel before end: every thread of it calls
              // wait_for_earlier_kernel before it touches global memory
  bool together = false;  // its blocks wait for one another: all run at once, or none
  Stream& stream;
};

/// ERR_SHAPE if a grid does not fit CUDA's limits: 2^31 - 1 blocks in x, 65535 in y and z.
inline void check_grid(const Extent& grid) {
  if (grid.x < 1 || grid.y < 1 || grid.z < 1 || grid.x > 0x7fffffff || grid.y > 65535 ||
      grid.z > 65535)
    throw Error("ERR_SHAPE", "launch: grid: expected 1 to 2^31 - 1, 65535 and 65535 blocks, got " +
                                 std::to_string(grid.x) + ", " + std::to_string(grid.y) + ", " +
                                 std::to_string(grid.z));
}

#ifdef __CUDACC__

/// Starts a kernel whose parameters lie at `parameters`; throws ERR_CUDA.
void launch_kernel(const void* kernel, const LaunchConfig& config, void** parameters);

template <typename... P, typename... A>
void launch(void (*kernel)(P...), const LaunchConfig& config, const A&... arguments) {
  std::tuple<std::remove_const_t<P>...> values(static_cast<P>(arguments)...);
  std::apply(
      [&](auto&... value) {
        void* pointers[] = {const_cast<void*>(static_cast<const void*>(&value))..., nullptr};
        launch_kernel(reinterpret_cast<const void*>(kernel), config, pointers);
      },
      values);
}

#else

template <typename... P, typename... A>
void launch(void (*kernel)(P...), const LaunchConfig& config, const A&... arguments) {
  struct Call {
    void (*kernel)(P...);
    std::tuple<std::remove_const_t<P>...> values;
  } call{kernel, {static_cast<P>(arguments)...}};
  check_grid(config.grid);
  const auto index = [](const Extent& e) {
    return emulation::Index{static_cast<unsigned>(e.x), static_cast<unsigned>(e.y),
                            static_cast<unsigned>(e.z)};
  };
  emulation::run({.grid = index(config.grid),
                  .block = index(config.block),
                  .cluster = index(config.cluster),
                  .shared = config.shared,
                  .body =
                      [](const void* it) {
                        const auto* c = static_cast<const Call*>(it);
                        std::apply(c->kernel, c->values);
                      },
                  .arguments = &call});
}

#endif

/// n elements of device memory for the op that runs now; they begin as garbage.
template <typename T>
T* scratch(Stream& stream, int64_t n) {
  return static_cast<T*>(stream.scratch(static_cast<size_t>(n) * sizeof(T), nullptr));
}

/// Numbers of the op (one a sample, an index, taps) in device memory, for the op that runs now.
template <typename T>
const T* upload(Stream& stream, const std::vector<T>& values) {
  return static_cast<const T*>(stream.scratch(values.size() * sizeof(T), values.data()));
}

}  // namespace srpo::cuda
