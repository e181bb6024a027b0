// Philox numbers: element i of a sample from draw i / 4, word i % 4 (cpp/core/random.h). A thread takes
// one draw. Bit for bit the cpu column's: integers, explicit fused multiply-adds, and no product that a
// compiler could fuse with a sum.

#include "cpp/ops/random/random_fill.h"

#include "cpp/core/random.h"
#include "cuda/common/math.cuh"
#include "cuda/elementwise/map.cuh"

namespace srpo::cuda {
namespace {

struct Normal {
  static SRPO_DEVICE void of(float (&to)[4], const random::Words& draw) {
    const random::Normals normals = random::normals(draw);
    for (int j = 0; j < 4; ++j) to[j] = normals.value[j];
  }
};
struct Uniform {
  static SRPO_DEVICE void of(float (&to)[4], const random::Words& draw) {
    for (int j = 0; j < 4; ++j) to[j] = random::uniform(draw.word[j]);
  }
};
struct Bits {  // as floats, which nothing computes with
  static SRPO_DEVICE void of(float (&to)[4], const random::Words& draw) {
    for (int j = 0; j < 4; ++j) to[j] = bits_as<float>(draw.word[j]);
  }
};

/// What names the draws of all samples, but for the sample.
struct Key {
  uint32_t seed[2];
  uint32_t purpose, step, first;  // the first draw
};

/// `draws` for each of the parts, of n elements each.
template <typename Numbers, typename T>
__global__ void random_fill_kernel(T* out, const uint32_t* samples, Key key, int64_t n,
                                   int64_t draws, int64_t all, bool packed) {
  wait_for_earlier_kernel();
  map<1>(all, false, [=]<int>(int64_t at) {
    const int64_t part = at / draws, draw = at % draws, i = 4 * draw;
    float values[4];
    Numbers::of(values, random::philox4x32({{key.first + static_cast<uint32_t>(draw), key.purpose,
                                             key.step, samples[part]}},
                                           key.seed[0], key.seed[1]));
    T* to = out + part * n + i;
    if (packed && i + 4 <= n) {
      store_pack(to, values);
    } else {
      for (int j = 0; j < 4; ++j)
        if (i + j < n) to[j] = T(values[j]);
    }
  });
}

template <typename Numbers, typename T>
void fill(const RandomFill& op, Stream& stream) {
  const auto parts = static_cast<int64_t>(op.samples.size());
  const int64_t n = op.out.numel() / parts, draws = ceil_div(n, 4);
  const Key key = {.seed = {static_cast<uint32_t>(op.seed), static_cast<uint32_t>(op.seed >> 32)},
                   .purpose = op.purpose,
                   .step = op.step,
                   .first = static_cast<uint32_t>(op.offset / 4)};
  launch(random_fill_kernel<Numbers, T>, map_config<1>(parts * draws, stream), op.out.data<T>(),
         upload(stream, op.samples), key, n, draws, parts * draws, packs<float>(op.out.pointer, n));
}

}  // namespace

void random_fill(const RandomFill& op, Stream& stream) {
  if (op.distribution == Distribution::kBits) return fill<Bits, float>(op, stream);
  visit_float(op.out.dtype, [&]<typename T>() {
    if (op.distribution == Distribution::kNormal)
      fill<Normal, T>(op, stream);
    else
      fill<Uniform, T>(op, stream);
  });
}

}  // namespace srpo::cuda
