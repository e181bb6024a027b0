// AdamW on a flat range, t = step - skipped, all in float32:
//   g = clip * grad
//   w = w (1 - lr decay)
//   m = m + (1 - beta1) (g - m),   v = beta2 v + (1 - beta2) g^2
//   w = w - lr / (1 - beta1^t) * m / (sqrt(v) / sqrt(1 - beta2^t) + eps)
//
// One pass; a thread takes four elements, or eight where it draws random numbers for moments: those of one
// draw. With moments of 8 bits a warp takes their block of 256, whose largest it finds by shuffles. What
// depends on the gradient's norm and on the count of skipped updates is worked out on the device first, so
// that nothing waits. No product is fused with a sum: the
// bits are the cpu column's, and the same for float32 weights and split masters.
// Source: Loshchilov and Hutter, arXiv:1711.05101; the order of operations is torch.optim.AdamW's.

#include "cpp/ops/update/adamw_step.h"

#include "cpp/ops/update/clip.h"
#include "cuda/common/math.cuh"
#include "cuda/update/adamw_forms.cuh"

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
  wait_for_earlier_kernel();
  if (threadIdx.x != 0) return;
  const int64_t t = step - (skipped == nullptr ? 0 : *skipped);
  numbers.finite = grad_norm == nullptr || is_finite(*grad_norm);
  numbers.clip = grad_norm != nullptr && max_norm > 0 ? clip_factor(*grad_norm, max_norm) : 1.f;
  numbers.step_size = static_cast<float>(lr / (1 - power(beta1, t)));
  numbers.root = static_cast<float>(sqrt(1 - power(beta2, t)));
  *out = numbers;
}

template <int N>
SRPO_DEVICE void update(float (&w)[N], float (&mean)[N], float (&square)[N], const float (&grad)[N],
                        const Numbers& numbers) {
  for (int j = 0; j < N; ++j) {
    const float g = product(grad[j], numbers.clip);
    w[j] = product(w[j], numbers.decay);
    mean[j] += product(g - mean[j], numbers.beta1_rest);
    square[j] = product(square[j], numbers.beta2) + product(product(g, numbers.beta2_rest), g);
    const float below = sqrtf(square[j]) / numbers.root + numbers.eps;
    w[j] -= product(numbers.step_size, mean[j] / below);
  }
}

template <typename Weights, typename Moments, typename Gradient>
__global__ void adamw_step_kernel(Weights weights, Moments moments, Gradient grad,
                                  const Numbers* all, int64_t n, bool packed) {
  wait_for_earlier_kernel();
  const Numbers numbers = *all;
  if (!numbers.finite) return;
  map<Moments::kPerThread>(n, packed, [=]<int N>(int64_t i) {
    float w[N], mean[N], square[N], g[N];
    weights.load(w, i);
    moments.load(mean, square, i);
    grad.load(g, i);
    update(w, mean, square, g, numbers);
    weights.store(i, w);
    moments.store(i, mean, square);
  });
}

constexpr int kByteThreads = 256;

template <typename Weights, typename Gradient>
__global__ void adamw_step_bytes_kernel(Weights weights, ByteMoments moments, Gradient grad,
                                        const Numbers* all, int64_t n, bool packed) {
  wait_for_earlier_kernel();
  const Numbers numbers = *all;
  const int64_t block = int64_t{blockIdx.x} * (kByteThreads / kWarp) + threadIdx.x / kWarp;
  if (!numbers.finite || block * kMomentBlock >= n) return;
  const int64_t i = block * kMomentBlock + lane() * kPerLane;
  const bool whole = packed && i + kPerLane <= n;
  const auto& [m, v, m_scale, v_scale, draws] = moments;

  float w[kPerLane] = {}, mean[kPerLane] = {}, square[kPerLane] = {}, g[kPerLane] = {};
  uint8_t codes[2][kPerLane] = {};
  const auto each = [&](const auto& f) {
    for (int j = 0; j < kPerLane; ++j)
      if (i + j < n) f(j);
  };
  if (whole) {
    weights.load(w, i);
    grad.load(g, i);
    const auto some = *reinterpret_cast<const Pack<uint8_t, kPerLane>*>(m + i);
    const auto others = *reinterpret_cast<const Pack<uint8_t, kPerLane>*>(v + i);
    for (int j = 0; j < kPerLane; ++j) codes[0][j] = some.value[j], codes[1][j] = others.value[j];
  } else {
    each([&](int j) {
      float one[1];
      weights.load(one, i + j);
      w[j] = one[0];
      grad.load(one, i + j);
      g[j] = one[0];
      codes[0][j] = m[i + j];
      codes[1][j] = v[i + j];
    });
  }
  const uint32_t m_before = moment_exponent_of(m_scale[block]);
  const uint32_t v_before = moment_exponent_of(v_scale[block]);
  for (int j = 0; j < kPerLane; ++j) {
    mean[j] = decode_first_moment(codes[0][j], m_before);
    square[j] = decode_second_moment(codes[1][j], v_before);
  }
  update(w, mean, square, g, numbers);

  const uint32_t m_after = exponent_of(mean), v_after = exponent_of(square);
  uint32_t random[kPerLane];
  draws.halves(random, i, 0);
  for (int j = 0; j < kPerLane; ++j) codes[0][j] = encode_first_moment(mean[j], m_after, random[j]);
  draws.halves(random, i, 1);
  for (int j = 0; j < kPerLane; ++j)
    codes[1][j] = encode_second_moment(square[j], v_after, random[j]);
  if (whole) {
    weights.store(i, w);
    Pack<uint8_t, kPerLane> some, others;
    for (int j = 0; j < kPerLane; ++j) some.value[j] = codes[0][j], others.value[j] = codes[1][j];
    *reinterpret_cast<Pack<uint8_t, kPerLane>*>(m + i) = some;
    *reinterpret_cast<Pack<uint8_t, kPerLane>*>(v + i) = others;
  } else {
    each([&](int j) {
      const float one[1] = {w[j]};
      weights.store(i + j, one);
      m[i + j] = codes[0][j];
      v[i + j] = codes[1][j];
    });
  }
  if (lane() == 0) {
    m_scale[block] = static_cast<uint8_t>(m_after);
    v_scale[block] = static_cast<uint8_t>(v_after);
  }
}

template <typename Weights, typename Moments>
void update(const AdamwStep& op, const Weights& weights, const Moments& moments,
            const Numbers* numbers, Stream& stream) {
  constexpr int N = Moments::kPerThread;
  const int64_t n = op.weights.numel();
  visit_gradient(op, [&]<typename Gradient>(const Gradient& grad) {
    const bool packed =
        weights.template packed<N>() && moments.packed() && grad.template packed<N>();
    launch(adamw_step_kernel<Weights, Moments, Gradient>, map_config<N>(n, stream), weights,
           moments, grad, numbers, n, packed);
  });
}

template <typename Weights>
void update_bytes(const AdamwStep& op, const Weights& weights, const Numbers* numbers,
                  Stream& stream) {
  const ByteMoments moments = {.m = op.m.data<uint8_t>(),
                               .v = op.v.data<uint8_t>(),
                               .m_scale = op.m_scale.data<uint8_t>(),
                               .v_scale = op.v_scale.data<uint8_t>(),
                               .draws = draws_of(*op.moment_rounding, op.step)};
  const int64_t n = op.weights.numel();
  visit_gradient(op, [&]<typename Gradient>(const Gradient& grad) {
    const bool packed = weights.template packed<kPerLane>() && grad.template packed<kPerLane>() &&
                        aligned<kPerLane>(moments.m) && aligned<kPerLane>(moments.v);
    launch(adamw_step_bytes_kernel<Weights, Gradient>,
           {.grid = ceil_div(n, kMomentBlock * (kByteThreads / kWarp)),
            .block = kByteThreads,
            .stream = stream},
           weights, moments, grad, numbers, n, packed);
  });
}

template <typename Weights>
void update_moments(const AdamwStep& op, const Weights& weights, const Numbers* numbers,
                    Stream& stream) {
  switch (op.m.dtype) {
    case DType::kUInt8:
      return update_bytes(op, weights, numbers, stream);
    case DType::kBFloat16:
      return update(op, weights,
                    HalfMoments{op.m.data<uint16_t>(), op.v.data<uint16_t>(),
                                draws_of(*op.moment_rounding, op.step)},
                    numbers, stream);
    default:
      return update(op, weights, FloatMoments{op.m.data<float>(), op.v.data<float>()}, numbers,
                    stream);
  }
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
    update_moments(op, FullWeights{op.weights.data<float>()}, numbers, stream);
  else if (op.rounding)
    update_moments(op, RoundedWeights{op.weights.data<uint16_t>(), draws_of(*op.rounding, op.step)},
                   numbers, stream);
  else
    update_moments(op, SplitWeights{op.weights.data<uint16_t>(), op.remainder.data<uint16_t>()},
                   numbers, stream);
}

}  // namespace srpo::cuda
