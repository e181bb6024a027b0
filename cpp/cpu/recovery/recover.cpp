// Recovery of the clean latent, with n the token and q the channel of (i, j, c):
//
//   z[i, j, c]      = (x0[n, q] + g * (v[n, q] - eps[n, q] + x0[n, q])) / scaling + shift
//   dv[n, q]        = g / scaling * dz[i, j, c]
//
// The closed form has no division by 1 - sigma_b, which would amplify rounding up to 17 times, so that
// velocity and noise may be bfloat16 (methods: SRPO, Direct-Align). Arithmetic is float.

#include "cpp/ops/recovery/recover.h"

#include "cpp/cpu/parallel.h"
#include "cpp/cpu/visit.h"

namespace srpo::cpu {
namespace {

float to_float(float value) {
  return value;
}
float to_float(uint16_t bits) {
  return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16);
}

/// Calls f(sample, token element, picture element) for each pair of places.
template <typename F>
void for_each_place(const TensorView& picture, const F& f) {
  const auto [B, H, W, C] = picture.sizes<4>();
  parallel_blocks(B * H, [&, H = H, W = W, C = C](int64_t row) {
    const int64_t b = row / H, i = row % H;
    for (int64_t j = 0; j < W; ++j) {
      const int64_t token = ((b * (H / 2) + i / 2) * (W / 2) + j / 2) * 4 * C;
      const int64_t corner = token + i % 2 * 2 + j % 2, pixel = (row * W + j) * C;
      for (int64_t c = 0; c < C; ++c) f(b, corner + 4 * c, pixel + c);
    }
  });
}

}  // namespace

void recover_forward(const RecoverForward& op, Stream&) {
  visit_bits(op.velocity.dtype, [&]<typename V>() {
    visit_bits(op.clean.dtype, [&]<typename X>() {
      visit_bits(op.noise.dtype, [&]<typename E>() {
        V* z = op.z.data<V>();
        const V* velocity = op.velocity.data<V>();
        const X* clean = op.clean.data<X>();
        const E* noise = op.noise.data<E>();
        for_each_place(op.z, [&](int64_t b, int64_t q, int64_t pixel) {
          const float x0 = to_float(clean[q]);
          const float residual = to_float(velocity[q]) - (to_float(noise[q]) - x0);
          const float value = (x0 + op.g[b] * residual) / op.scaling + op.shift;
          write(z + pixel, &value, 1);
        });
      });
    });
  });
}

void recover_backward(const RecoverBackward& op, Stream&) {
  visit_bits(op.dz.dtype, [&]<typename V>() {
    V* dvelocity = op.dvelocity.data<V>();
    const V* dz = op.dz.data<V>();
    for_each_place(op.dz, [&](int64_t b, int64_t q, int64_t pixel) {
      const float value = op.g[b] / op.scaling * to_float(dz[pixel]);
      write(dvelocity + q, &value, 1);
    });
  });
}

}  // namespace srpo::cpu
