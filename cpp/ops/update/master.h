#pragma once
#include "cpp/core/stream.h"
#include "cpp/core/tensor_view.h"

namespace srpo {

/// A float32 master weight kept in two halves without loss:
///   remainder = the lower 16 bits
///   weight    = the upper 16 bits, plus 1 if the remainder's top bit is set: the master rounded to
///               bfloat16, ties away from zero
///   master    = (weight - top bit of remainder) : remainder
/// so that the weight is what the network computes with and the master is there to the last bit. A
/// remainder is stored as uint8 [n, 2], its bytes in the machine's order (little-endian); zeros make
/// the bfloat16 weight itself the master. A master that is NaN may give a weight that is not.
/// Source: kept so in NVIDIA Apex's distributed Adam, store_param_remainders.
SRPO_HOST_DEVICE inline uint16_t master_weight(uint32_t master) {
  return static_cast<uint16_t>((master >> 16) + (master >> 15 & 1));
}
SRPO_HOST_DEVICE inline uint32_t master_of(uint16_t weight, uint16_t remainder) {
  const auto upper = static_cast<uint16_t>(weight - (remainder >> 15));
  return uint32_t{upper} << 16 | remainder;
}

struct SplitMaster {
  TensorView weights;    // [n]     bfloat16  out
  TensorView remainder;  // [n, 2]  uint8     out
  TensorView master;     // [n]     float
};

struct JoinMaster {
  TensorView master;     // [n]     float     out
  TensorView weights;    // [n]     bfloat16
  TensorView remainder;  // [n, 2]  uint8
};

void split_master(const SplitMaster& op, Stream& stream);
void join_master(const JoinMaster& op, Stream& stream);

/// ERR_SHAPE, ERR_DTYPE or ERR_DEVICE unless it is the remainder of these weights, which bfloat16 needs
/// and float32 must not have.
void require_remainder(const char* op, const TensorView& remainder, const TensorView& weights);

}  // namespace srpo
