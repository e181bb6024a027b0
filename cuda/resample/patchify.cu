// Patches as tokens and back: a permutation, told in cpp/ops/resample/patchify.h. A thread writes one
// element, neighbours write neighbours; what a block reads lies in few rows, so that the cache takes
// the strides.

#include "cpp/ops/resample/patchify.h"

#include "cuda/elementwise/map.cuh"
#include "cuda/resample/patches.cuh"

namespace srpo::cuda {
namespace {

template <typename T>
__global__ void patchify_kernel(T* tokens, const T* picture, Patches patches, int64_t n) {
  wait_for_earlier_kernel();
  map<1>(n, false, [=]<int>(int64_t i) { tokens[i] = picture[patches.pixel_of(i)]; });
}

template <typename T>
__global__ void unpatchify_kernel(T* picture, const T* tokens, Patches patches, int64_t n) {
  wait_for_earlier_kernel();
  map<1>(n, false, [=]<int>(int64_t i) { picture[i] = tokens[patches.token_of(i)]; });
}

Patches patches_of(const TensorView& picture, int64_t patch) {
  return {.H = picture.dim(1), .W = picture.dim(2), .C = picture.dim(3), .p = patch};
}

}  // namespace

void patchify(const Patchify& op, Stream& stream) {
  const int64_t n = op.tokens.numel();
  visit_float(op.picture.dtype, [&]<typename T>() {
    launch(patchify_kernel<T>, map_config<1>(n, stream), op.tokens.data<T>(), op.picture.data<T>(),
           patches_of(op.picture, op.patch), n);
  });
}

void unpatchify(const Unpatchify& op, Stream& stream) {
  const int64_t n = op.picture.numel();
  visit_float(op.picture.dtype, [&]<typename T>() {
    launch(unpatchify_kernel<T>, map_config<1>(n, stream), op.picture.data<T>(),
           op.tokens.data<T>(), patches_of(op.picture, op.patch), n);
  });
}

}  // namespace srpo::cuda
