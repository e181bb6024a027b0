// Recovery of the clean latent, with n the token and q the channel of (i, j, c):
//
//   z[i, j, c]      = (x0[n, q] + g * (v[n, q] - eps[n, q] + x0[n, q])) / scaling + shift
//   dv[n, q]        = g / scaling * dz[i, j, c]
//
// One launch each, from packed tokens to the decoder's picture and back; under 1 MB moves, so that it
// is the launch that costs. Arithmetic is float; velocity, clean and noise are of any two dtypes.
// Source: SRPO (arXiv 2509.06942), Direct-Align.

#include "cpp/ops/recovery/recover.h"

#include "cuda/elementwise/map.cuh"
#include "cuda/resample/patches.cuh"

namespace srpo::cuda {
namespace {

template <typename V, typename X, typename E>
__global__ void recover_forward_kernel(V* z, const X* clean, const E* noise, const V* velocity,
                                       const float* g, Patches patches, int64_t each, int64_t n,
                                       float scaling, float shift) {
  wait_for_earlier_kernel();
  map<1>(n, false, [=]<int>(int64_t i) {
    const int64_t q = patches.token_of(i);
    const float x0 = float(clean[q]);
    const float residual = float(velocity[q]) - (float(noise[q]) - x0);
    z[i] = V((x0 + g[i / each] * residual) / scaling + shift);
  });
}

template <typename V>
__global__ void recover_backward_kernel(V* dvelocity, const V* dz, const float* g, Patches patches,
                                        int64_t each, int64_t n, float scaling) {
  wait_for_earlier_kernel();
  map<1>(n, false, [=]<int>(int64_t i) {
    dvelocity[i] = V(g[i / each] / scaling * float(dz[patches.pixel_of(i)]));
  });
}

/// Latents are packed in patches of 2 x 2.
Patches patches_of(const TensorView& picture) {
  return {.H = picture.dim(1), .W = picture.dim(2), .C = picture.dim(3), .p = 2};
}

}  // namespace

void recover_forward(const RecoverForward& op, Stream& stream) {
  const int64_t n = op.z.numel(), each = n / op.z.dim(0);
  visit_float(op.velocity.dtype, [&]<typename V>() {
    visit_float(op.clean.dtype, [&]<typename X>() {
      visit_float(op.noise.dtype, [&]<typename E>() {
        launch(recover_forward_kernel<V, X, E>, map_config<1>(n, stream), op.z.data<V>(),
               op.clean.data<X>(), op.noise.data<E>(), op.velocity.data<V>(), upload(stream, op.g),
               patches_of(op.z), each, n, op.scaling, op.shift);
      });
    });
  });
}

void recover_backward(const RecoverBackward& op, Stream& stream) {
  const int64_t n = op.dz.numel(), each = n / op.dz.dim(0);
  visit_float(op.dz.dtype, [&]<typename V>() {
    launch(recover_backward_kernel<V>, map_config<1>(n, stream), op.dvelocity.data<V>(),
           op.dz.data<V>(), upload(stream, op.g), patches_of(op.dz), each, n, op.scaling);
  });
}

}  // namespace srpo::cuda
