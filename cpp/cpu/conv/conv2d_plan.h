#pragma once
#include <cstdint>
#include <vector>

#include "cpp/ops/conv/conv2d.h"

namespace srpo::cpu {

/// One direction (rows or columns) of a convolution as the tiles see it: output o = phases * i + phase
/// takes the input in_step * i + offset for each tap, whose weight is the sum of some kernel places.
///
/// Upsampling is folded in: of the places that meet the same small pixel the weights are summed once,
/// so that 3 x 3 on a doubled picture costs 2 x 2 on each of four phases.
struct ConvAxis {
  struct Tap {
    int64_t offset;
    std::vector<int64_t> places;  // in the kernel
  };
  struct Phase {
    int64_t count;  // of i
    std::vector<Tap> taps;
  };
  int64_t in_step;
  std::vector<Phase> phases;
};

/// y of length `out` from x: output o, place r meets x at (o * stride + r - before) / (2 if upsampled).
ConvAxis forward_axis(int64_t out, int64_t kernel, int64_t stride, int64_t before, bool upsample);

/// dx of length `in` from dy: the same pairs (o, x), told from x.
ConvAxis gradient_axis(int64_t in, int64_t kernel, int64_t stride, int64_t before, bool upsample);

}  // namespace srpo::cpu
