// Patches as tokens and back: a permutation, told in cpp/ops/resample/patchify.h. Memory bound; a block
// is one row of patches.

#include "cpp/ops/resample/patchify.h"

#include "cpp/cpu/parallel.h"
#include "cpp/cpu/visit.h"

namespace srpo::cpu {
namespace {

/// Calls move(token element, picture element) for each pair of places.
template <typename Move>
void for_each_place(const TensorView& picture, int64_t p, const Move& move) {
  const auto [B, H, W, C] = picture.sizes<4>();
  parallel_blocks(B * (H / p), [&, H = H, W = W, C = C](int64_t block) {
    const int64_t b = block / (H / p), i = block % (H / p);
    for (int64_t j = 0; j < W / p; ++j) {
      const int64_t token = (block * (W / p) + j) * C * p * p;
      for (int64_t r = 0; r < p; ++r)
        for (int64_t s = 0; s < p; ++s) {
          const int64_t pixel = ((b * H + i * p + r) * W + j * p + s) * C;
          for (int64_t c = 0; c < C; ++c) move(token + (c * p + r) * p + s, pixel + c);
        }
    }
  });
}

}  // namespace

void patchify(const Patchify& op, Stream&) {
  visit_bits(op.picture.dtype, [&]<typename T>() {
    T* tokens = op.tokens.data<T>();
    const T* picture = op.picture.data<T>();
    for_each_place(op.picture, op.patch,
                   [=](int64_t token, int64_t pixel) { tokens[token] = picture[pixel]; });
  });
}

void unpatchify(const Unpatchify& op, Stream&) {
  visit_bits(op.picture.dtype, [&]<typename T>() {
    T* picture = op.picture.data<T>();
    const T* tokens = op.tokens.data<T>();
    for_each_place(op.picture, op.patch,
                   [=](int64_t token, int64_t pixel) { picture[pixel] = tokens[token]; });
  });
}

}  // namespace srpo::cpu
