#pragma once
#include <cstdint>
#include <vector>

#include "cpp/core/stream.h"
#include "cpp/core/tensor_view.h"

namespace srpo {

enum class Distribution : uint8_t {
  kNormal,   // randn: float32 or bfloat16
  kUniform,  // rand: float32 or bfloat16, [0, 1) before rounding
  kBits,     // randomBits: int32, the words themselves
};

/// Counter-based numbers: element i of a sample's part comes from word i % 4 of
/// philox4x32(counter = (i / 4, purpose, step, sample), key = seed), so that it depends on nothing
/// but its key: neither on the device, nor on ranks, batches or what was drawn before.
struct RandomFill {
  TensorView out;  // out
  Distribution distribution;
  uint64_t seed;
  uint32_t purpose;
  uint32_t step;
  std::vector<uint32_t> samples;  // one, or one for each entry of out's first dimension
  int64_t offset;                 // i of the part's first element; a multiple of 4
};

void random_fill(const RandomFill& op, const char* name, Stream& stream);

}  // namespace srpo
