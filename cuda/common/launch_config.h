// How a kernel is started: what launch.cuh is told, and cuda/runtime does.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>

#include "cpp/core/error.h"
#include "cpp/core/stream.h"

namespace srpo::cuda {

/// Blocks of a grid, threads of a block.
struct Extent {
  int64_t x, y, z;
  Extent(int64_t x = 1, int64_t y = 1, int64_t z = 1) : x(x), y(y), z(z) {}
};

struct LaunchConfig {
  Extent grid;
  Extent block;           // whole warps
  size_t shared = 0;      // bytes of dynamic shared memory a block
  Extent cluster = 1;     // blocks of a cluster
  bool early = true;      // its blocks may begin as those of the kernel before end: see early.cuh
  bool together = false;  // its blocks wait for one another: all run at once, or none; never early
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

/// Starts a kernel of the card whose parameters lie at `parameters`; throws ERR_CUDA.
void launch_kernel(const void* kernel, const LaunchConfig& config, void** parameters);

}  // namespace srpo::cuda
