// What the copy engine (TMA) is told of a tensor in global memory: made by a launcher, passed to the kernel
// by value as `const __grid_constant__ TensorMap`.
#pragma once
#include <cstdint>
#include <initializer_list>

#include "cpp/core/dtype.h"
#include "cuda/common/target.cuh"
#ifdef __CUDACC__
#include <cuda.h>
#else
#include "cuda/emulation/async.h"
#endif

namespace srpo::cuda {

/// How 16-byte pieces of a row are permuted in shared memory: the inner side of a box has at most so many
/// bytes. Bits 4.. of the shared address are exclusive-ored with bits 7..
enum class Swizzle : uint8_t { kNone, k32, k64, k128 };

#ifdef __CUDACC__
using TensorMap = CUtensorMap;
#else
using TensorMap = emulation::TensorMap;
#endif

/// The map of a tensor of up to five sizes, the innermost first, as are `strides` (in elements, of every
/// size but the innermost, which is dense) and the sides of the box that one copy moves. Reads outside give
/// zeros, writes outside are dropped. Throws ERR_KERNEL for what the hardware would refuse: a base that is
/// not aligned to 16 bytes, strides that are no multiples of 16 bytes, a side above 256, an inner side
/// wider than the swizzle.
TensorMap tensor_map(const void* data, DType dtype, std::initializer_list<int64_t> sizes,
                     std::initializer_list<int64_t> strides, std::initializer_list<int> box,
                     Swizzle swizzle);

}  // namespace srpo::cuda
