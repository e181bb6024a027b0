// AdamW on a flat range, t = step - skipped, all in float32:
//   g = clip * grad
//   w = w (1 - lr decay)
//   m = m + (1 - beta1) (g - m),   v = beta2 v + (1 - beta2) g^2
//   w = w - lr / (1 - beta1^t) * m / (sqrt(v) / sqrt(1 - beta2^t) + eps)
//
// One pass; a thread takes four elements. What depends on the gradient's norm and on the count of skipped
// updates is worked out on the device first, so that nothing waits. No product is fused with a sum: the
// bits are the cpu column's, and the same for float32 weights and split masters.
// Source: Loshchilov and Hutter, arXiv:1711.05101; the order of operations is torch.optim.AdamW's.

#include "cpp/ops/update/adamw_step.h"

#include "cpp/core/random.h"
#include "cpp/ops/update/clip.h"
#include "cuda/common/math.cuh"
#include "cuda/update/numbers.cuh"

namespace srpo::cuda {
namespace {

/// The numbers of one update, the same for all elements.
struct Numbers {
  float decay;       // 1 - lr weight_decay
  float beta1_rest;  // 1 - beta1
  float beta2;       //
  float beta2_rest;  // 1 - beta2
  float eps;         //
  // Worked out on the device:
  float clip = 1;       // of the gradient
  float step_size = 0;  // lr / (1 - beta1^t)
  float root = 1;       // sqrt(1 - beta2^t)
  bool finite = true;   // whether there is an update at all
};

/// base^n by squaring, in the same order on every device.
SRPO_DEVICE double power(double base, int64_t n) {
  double result = 1;
  for (; n > 0; n >>= 1, base = product(base, base))
    if (n & 1) result = product(result, base);
  return result;
}

/// `grad_norm` and `skipped` may be null.
__global__ void adamw_numbers_kernel(Numbers* out, const float* grad_norm, const int32_t* skipped,
                                     Numbers numbers, int64_t step, double lr, double beta1,
                                     double beta2, float max_norm) {
  if (threadIdx.x != 0) return;
  const int64_t t = step - (skipped == nullptr ? 0 : *skipped);
  numbers.finite = grad_norm == nullptr || is_finite(*grad_norm);
  numbers.clip = grad_norm != nullptr && max_norm > 0 ? clip_factor(*grad_norm, max_norm) : 1.f;
  numbers.step_size = static_cast<float>(lr / (1 - power(beta1, t)));
  numbers.root = static_cast<float>(sqrt(1 - power(beta2, t)));
  *out = numbers;
}

/// Weights that are bfloat16 alone, rounded up or down with the odds of how near each is. The random
/// half is named by the element's place among all parameters (cpp/ops/update/adamw_step.h).
struct RoundedWeights {
  uint16_t* weights;
  uint32_t seed[2];
  uint32_t purpose, step;
  int64_t offset;

  bool packed() const { return packs<float>(weights) && offset % kPack<float> == 0; }
  template <int N>
  SRPO_DEVICE void load(float (&w)[N], int64_t i) const {
    const auto upper = load_halves<N>(weights + i);
    for (int j = 0; j < N; ++j) w[j] = bits_as<float>(static_cast<uint32_t>(upper.value[j]) << 16);
  }
  /// N is 1, or 4 from a multiple of 4 on: either way one draw.
  template <int N>
  SRPO_DEVICE void store(int64_t i, const float (&w)[N]) const {
    const int64_t first = offset + i;
    const random::Words draw = random::philox4x32(
        {{static_cast<uint32_t>(first / 8), purpose, step, 0}}, seed[0], seed[1]);
    Pack<uint16_t, N> upper;
    for (int j = 0; j < N; ++j) {
      const auto place = static_cast<int>((first + j) % 8);
      const uint32_t low = place & 2 ? draw.word[1] : draw.word[0];
      const uint32_t high = place & 2 ? draw.word[3] : draw.word[2];
      const uint32_t word = place & 4 ? high : low;
      const uint32_t random = place & 1 ? word >> 16 : word & 0xffffu;
      const uint32_t bits = bits_as<uint32_t>(w[j]);
      const bool finite = (bits & 0x7f800000u) != 0x7f800000u;  // what is not stays
      upper.value[j] = static_cast<uint16_t>((finite ? bits + random : bits) >> 16);
    }
    *reinterpret_cast<Pack<uint16_t, N>*>(weights + i) = upper;
  }
};

template <typename Weights, typename G>
__global__ void adamw_step_kernel(Weights weights, float* m, float* v, const G* grad,
                                  const Numbers* all, int64_t n, bool packed) {
  const Numbers numbers = *all;
  if (!numbers.finite) return;
  map<kPack<float>>(n, packed, [=]<int N>(int64_t i) {
    float w[N], mean[N], square[N], g[N];
    weights.load(w, i);
    load_pack(mean, m + i);
    load_pack(square, v + i);
    load_pack(g, grad + i);
    for (int j = 0; j < N; ++j) {
      g[j] = product(g[j], numbers.clip);
      w[j] = product(w[j], numbers.decay);
      mean[j] += product(g[j] - mean[j], numbers.beta1_rest);
      square[j] =
          product(square[j], numbers.beta2) + product(product(g[j], numbers.beta2_rest), g[j]);
      const float below = sqrtf(square[j]) / numbers.root + numbers.eps;
      w[j] -= product(numbers.step_size, mean[j] / below);
    }
    weights.store(i, w);
    store_pack(m + i, mean);
    store_pack(v + i, square);
  });
}

template <typename Weights>
void update(const AdamwStep& op, const Weights& weights, const Numbers* numbers, Stream& stream) {
  auto *m = op.m.data<float>(), *v = op.v.data<float>();
  const int64_t n = op.weights.numel();
  visit_float(op.grad.dtype, [&]<typename G>() {
    const bool packed =
        weights.packed() && packs<float>(m) && packs<float>(v) && packs<float>(op.grad.pointer);
    launch(adamw_step_kernel<Weights, G>, map_config<kPack<float>>(n, stream), weights, m, v,
           op.grad.data<G>(), numbers, n, packed);
  });
}

}  // namespace

void adamw_step(const AdamwStep& op, Stream& stream) {
  const Numbers given = {.decay = static_cast<float>(1 - op.lr * op.weight_decay),
                         .beta1_rest = static_cast<float>(1 - op.beta1),
                         .beta2 = static_cast<float>(op.beta2),
                         .beta2_rest = static_cast<float>(1 - op.beta2),
                         .eps = static_cast<float>(op.eps)};
  auto* numbers = scratch<Numbers>(stream, 1);
  launch(adamw_numbers_kernel, {.grid = 1, .block = kWarp, .stream = stream}, numbers,
         op.grad_norm.data<float>(), op.skipped.data<int32_t>(), given, op.step, op.lr, op.beta1,
         op.beta2, op.max_norm);
  if (op.weights.dtype == DType::kFloat32)
    update(op, FullWeights{op.weights.data<float>()}, numbers, stream);
  else if (op.rounding)
    update(op,
           RoundedWeights{.weights = op.weights.data<uint16_t>(),
                          .seed = {static_cast<uint32_t>(op.rounding->seed),
                                   static_cast<uint32_t>(op.rounding->seed >> 32)},
                          .purpose = op.rounding->purpose,
                          .step = static_cast<uint32_t>(op.step),
                          .offset = op.rounding->offset},
           numbers, stream);
  else
    update(op, SplitWeights{op.weights.data<uint16_t>(), op.remainder.data<uint16_t>()}, numbers,
           stream);
}

}  // namespace srpo::cuda
