#include "cuda/common/tensor_map.h"

#include <string>
#include <vector>

#include "cpp/core/error.h"

namespace srpo::cuda {
namespace {

[[noreturn]] void refuse(const std::string& what) {
  throw Error("ERR_KERNEL", "tensor_map: " + what);
}

void check(const void* data, int64_t size, std::initializer_list<int64_t> sizes,
           std::initializer_list<int64_t> strides, std::initializer_list<int> box,
           Swizzle swizzle) {
  if (sizes.size() < 1 || sizes.size() > 5 || strides.size() + 1 != sizes.size() ||
      box.size() != sizes.size())
    refuse("expected 1 to 5 sizes, a stride for each but the first and a side for each");
  if (reinterpret_cast<uintptr_t>(data) % 16 != 0) refuse("expected data aligned to 16 bytes");
  for (const int64_t stride : strides)
    if (stride <= 0 || stride * size % 16 != 0)
      refuse("expected strides of whole 16 bytes, got " + std::to_string(stride * size));
  for (const int side : box)
    if (side < 1 || side > 256) refuse("expected sides of 1 to 256, got " + std::to_string(side));
  const int64_t inner = *box.begin() * size;
  if (inner % 16 != 0) refuse("expected an inner side of whole 16 bytes");
  const int64_t most = 16 << static_cast<int>(swizzle);
  if (swizzle != Swizzle::kNone && inner > most)
    refuse("expected an inner side of at most " + std::to_string(most) + " bytes, got " +
           std::to_string(inner));
}

}  // namespace

#ifdef __CUDACC__

TensorMap tensor_map(const void* data, DType dtype, std::initializer_list<int64_t> sizes,
                     std::initializer_list<int64_t> strides, std::initializer_list<int> box,
                     Swizzle swizzle) {
  check(data, static_cast<int64_t>(size_of(dtype)), sizes, strides, box, swizzle);
  using Encode =
      CUresult(CUtensorMap*, CUtensorMapDataType, cuuint32_t, void*, const cuuint64_t*,
               const cuuint64_t*, const cuuint32_t*, const cuuint32_t*, CUtensorMapInterleave,
               CUtensorMapSwizzle, CUtensorMapL2promotion, CUtensorMapFloatOOBfill);
  // By way of the runtime: the addon does not link the driver, and loads where there is none.
  static Encode* const encode = [] {
    void* entry = nullptr;
    cudaDriverEntryPointQueryResult found;
    const cudaError_t status = cudaGetDriverEntryPointByVersion("cuTensorMapEncodeTiled", &entry,
                                                                12000, cudaEnableDefault, &found);
    if (status != cudaSuccess || entry == nullptr)
      throw Error("ERR_CUDA", "tensor_map: the driver has no cuTensorMapEncodeTiled");
    return reinterpret_cast<Encode*>(entry);
  }();
  const auto rank = static_cast<cuuint32_t>(sizes.size());
  const std::vector<cuuint64_t> dims(sizes.begin(), sizes.end());
  std::vector<cuuint64_t> bytes;
  for (const int64_t stride : strides)
    bytes.push_back(static_cast<cuuint64_t>(stride) * size_of(dtype));
  const std::vector<cuuint32_t> sides(box.begin(), box.end()), each(rank, 1);
  CUtensorMapDataType type = CU_TENSOR_MAP_DATA_TYPE_FLOAT32;
  if (dtype == DType::kBFloat16) type = CU_TENSOR_MAP_DATA_TYPE_BFLOAT16;
  if (dtype == DType::kUInt8) type = CU_TENSOR_MAP_DATA_TYPE_UINT8;
  TensorMap map;
  const CUresult status =
      encode(&map, type, rank, const_cast<void*>(data), dims.data(), bytes.data(), sides.data(),
             each.data(), CU_TENSOR_MAP_INTERLEAVE_NONE, static_cast<CUtensorMapSwizzle>(swizzle),
             CU_TENSOR_MAP_L2_PROMOTION_L2_128B, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
  if (status != CUDA_SUCCESS)
    refuse("the driver refused it with error " + std::to_string(static_cast<int>(status)));
  return map;
}

#else

TensorMap tensor_map(const void* data, DType dtype, std::initializer_list<int64_t> sizes,
                     std::initializer_list<int64_t> strides, std::initializer_list<int> box,
                     Swizzle swizzle) {
  check(data, static_cast<int64_t>(size_of(dtype)), sizes, strides, box, swizzle);
  TensorMap map;
  map.data = const_cast<char*>(static_cast<const char*>(data));
  map.rank = static_cast<int>(sizes.size());
  map.dtype = dtype;
  map.swizzle = static_cast<int>(swizzle);
  for (int i = 0; i < map.rank; ++i) {
    map.sizes[i] = sizes.begin()[i];
    map.strides[i] = i == 0 ? 1 : strides.begin()[i - 1];
    map.box[i] = box.begin()[i];
  }
  return map;
}

#endif

}  // namespace srpo::cuda
