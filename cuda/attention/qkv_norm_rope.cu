// Split heads, RMS norm of q and k, rotation: the way from a fused projection to attention.
//
//   qkv, dqkv      [B, Li, 3*N*Dh]  T      one or two streams; q of all heads, then k, then v
//   q, k, v, dq..  [B, N, L, Dh]    T      the streams' tokens follow one another, L = sum of Li
//   scales         [Dh]             T      dscale float
//   rstd           [B, N, L]        float  saved by forward where q (k) is normalised
//   cos, sin       [L, Dh/2]        float
//
// n = x * rstd * scale, rstd = 1 / sqrt(mean(x^2) + eps), y = R n with R the rotation of each pair.
// Backward, with g = R^T dy, xhat = x * rstd and <.> the mean over Dh:
//   dscale = sum over b, n, l of g * xhat
//   dx     = rstd * (g * scale - xhat * <g * scale * xhat>)
//
// Here a warp takes one head of one token, q, k or v of one stream, its lanes a pair of channels each in
// turn; the second pass over a head finds it in cache. qkv_norm_rope_packed.cu takes heads of 64, 128 and
// 256. T is float or bfloat16; every sum and the rotation run in float.

#include "cuda/attention/qkv_norm_rope.h"

#include "cuda/common/barrier.cuh"
#include "cuda/common/column_sums.cuh"
#include "cuda/common/launch.cuh"
#include "cuda/common/math.cuh"
#include "cuda/common/warp.cuh"

namespace srpo::cuda {
namespace {

constexpr int kWarps = 8;
constexpr int kThreads = kWarps * kWarp;
constexpr int kHeads = 64;  // of a block, eight a warp: one partial sum of dscale

struct PairOfChannels {
  float even, odd;
};

/// Channels d and d + 1; the second is 0 where a head ends before it.
template <typename T>
SRPO_DEVICE PairOfChannels load_pair(const T* from, int64_t d, int64_t Dh) {
  return {float(from[d]), d + 1 < Dh ? float(from[d + 1]) : 0.f};
}
template <typename T>
SRPO_DEVICE void store_pair(T* to, int64_t d, int64_t Dh, PairOfChannels value) {
  to[d] = T(value.even);
  if (d + 1 < Dh) to[d + 1] = T(value.odd);
}

/// Turned by the angle of pair d / 2 of a token, or back (sign -1).
template <typename T>
SRPO_DEVICE PairOfChannels turn(PairOfChannels x, const QkvPart<T>& part, int64_t token, int64_t d,
                                int64_t Dh, float sign) {
  if (part.cos == nullptr) return x;
  const int64_t at = token * (Dh / 2) + d / 2;
  const float c = part.cos[at], s = sign * part.sin[at];
  return {x.even * c - x.odd * s, x.odd * c + x.even * s};
}

template <typename T>
__global__ void qkv_norm_rope_forward_kernel(const QkvPart<T> q, const QkvPart<T> k,
                                             const QkvPart<T> v, const T* qkv, const QkvPlaces at,
                                             float eps) {
  wait_for_earlier_kernel();
  const int which = static_cast<int>(blockIdx.y);
  QkvPart<T> part = v;  // a copy: a reference to one of three would put them all in local memory
  if (which == 0) part = q;
  if (which == 1) part = k;
  const int64_t head = int64_t{blockIdx.x} * kWarps + warp(), Dh = at.Dh;
  if (head >= at.heads()) return;
  const T* x = qkv + at.in_stream(head, which);
  T* y = part.joint + at.in_joint(head) * Dh;

  float rstd = 1.f;
  if (part.scale != nullptr) {
    float squares = 0.f;
    for (int64_t d = 2 * lane(); d < Dh; d += 2 * kWarp) {
      const PairOfChannels pair = load_pair(x, d, Dh);
      squares += pair.even * pair.even + pair.odd * pair.odd;
    }
    rstd = rsqrtf(warp_sum(squares) / Dh + eps);
  }
  for (int64_t d = 2 * lane(); d < Dh; d += 2 * kWarp) {
    PairOfChannels pair = load_pair(x, d, Dh);
    if (part.scale != nullptr) {
      const PairOfChannels scale = load_pair(part.scale, d, Dh);
      pair = {pair.even * rstd * scale.even, pair.odd * rstd * scale.odd};
    }
    store_pair(y, d, Dh, turn(pair, part, at.joint_token(head), d, Dh, 1.f));
  }
  if (part.rstd != nullptr && lane() == 0) part.rstd[at.in_joint(head)] = rstd;
}

template <typename T>
__global__ void qkv_norm_rope_backward_kernel(T* dqkv, const QkvPart<T> q, const QkvPart<T> k,
                                              const QkvPart<T> v, const T* qkv,
                                              const QkvPlaces at) {
  wait_for_earlier_kernel();
  const int which = static_cast<int>(blockIdx.y);
  QkvPart<T> part = v;  // a copy: a reference to one of three would put them all in local memory
  if (which == 0) part = q;
  if (which == 1) part = k;
  const int64_t Dh = at.Dh;
  float* sums = shared_array<float>() + warp() * Dh;  // of dscale, this warp's heads
  for (int64_t d = 2 * lane(); d < Dh; d += 2 * kWarp) {
    sums[d] = 0.f;
    if (d + 1 < Dh) sums[d + 1] = 0.f;
  }

  const int64_t first = int64_t{blockIdx.x} * kHeads;
  const int64_t end = first + kHeads < at.heads() ? first + kHeads : at.heads();
  for (int64_t head = first + warp(); head < end; head += kWarps) {
    const T* x = qkv + at.in_stream(head, which);
    T* dx = dqkv + at.in_stream(head, which);
    const T* dy = part.joint + at.in_joint(head) * Dh;
    const int64_t token = at.joint_token(head);
    const float rstd = part.scale != nullptr ? part.rstd[at.in_joint(head)] : 1.f;

    float mean = 0.f;  // of g * scale * xhat
    if (part.scale != nullptr) {
      for (int64_t d = 2 * lane(); d < Dh; d += 2 * kWarp) {
        const PairOfChannels g = turn(load_pair(dy, d, Dh), part, token, d, Dh, -1.f);
        const PairOfChannels scale = load_pair(part.scale, d, Dh), value = load_pair(x, d, Dh);
        const float even = g.even * value.even * rstd, odd = g.odd * value.odd * rstd;
        mean += even * scale.even + odd * scale.odd;
        sums[d] += even;
        if (d + 1 < Dh) sums[d + 1] += odd;
      }
      mean = warp_sum(mean) / Dh;
    }
    for (int64_t d = 2 * lane(); d < Dh; d += 2 * kWarp) {
      PairOfChannels g = turn(load_pair(dy, d, Dh), part, token, d, Dh, -1.f);
      if (part.scale != nullptr) {
        const PairOfChannels scale = load_pair(part.scale, d, Dh), value = load_pair(x, d, Dh);
        g = {rstd * (g.even * scale.even - value.even * rstd * mean),
             rstd * (g.odd * scale.odd - value.odd * rstd * mean)};
      }
      store_pair(dx, d, Dh, g);
    }
  }
  if (part.dscale == nullptr) return;
  block_barrier();
  const float* all = shared_array<float>();
  for (int64_t d = thread_rank(); d < Dh; d += kThreads) {
    float sum = all[d];
    for (int w = 1; w < kWarps; ++w) sum += all[w * Dh + d];
    part.dscale[blockIdx.x * Dh + d] = sum;
  }
}

/// dscale += the parts of all blocks.
__global__ void qkv_norm_rope_backward_scale_kernel(float* dscale, const float* parts,
                                                    int64_t blocks, int64_t Dh) {
  wait_for_earlier_kernel();
  column_sums<1>(
      blocks, Dh,
      [=](float (&sums)[1], int64_t block, int64_t d) { sums[0] += parts[block * Dh + d]; },
      [=](const float (&sums)[1], int64_t, int64_t d) { dscale[d] += sums[0]; });
}

template <typename T>
QkvPart<T> part_of(const TensorView& joint, const TensorView& scale, const TensorView& rstd,
                   const TensorView& cos, const TensorView& sin) {
  return {.joint = joint.data<T>(),
          .scale = scale.data<T>(),
          .rstd = rstd.data<float>(),
          .dscale = nullptr,
          .cos = cos.data<float>(),
          .sin = sin.data<float>()};
}

}  // namespace

void qkv_norm_rope_forward(const QkvNormRopeForward& op, Stream& stream) {
  const auto [B, N, L, Dh] = op.q.sizes<4>();
  int64_t offset = 0;
  for (const QkvStream& s : op.streams) {
    if (!s.qkv) continue;
    const QkvPlaces at = {.B = B, .Li = s.qkv.dim(1), .N = N, .Dh = Dh, .L = L, .offset = offset};
    visit_float(op.q.dtype, [&]<typename T>() {
      const auto q = part_of<T>(op.q, s.q_scale, op.q_rstd, op.cos, op.sin);
      const auto k = part_of<T>(op.k, s.k_scale, op.k_rstd, op.cos, op.sin);
      const auto v = part_of<T>(op.v, {}, {}, {}, {});
      const T* const qkv = s.qkv.data<T>();
      const T* none = nullptr;
      if (qkv_packed_takes(q, k, v, qkv, none, at))
        return qkv_packed_forward(q, k, v, qkv, at, op.eps, stream);
      launch(qkv_norm_rope_forward_kernel<T>,
             {.grid = {ceil_div(at.heads(), kWarps), 3}, .block = kThreads, .stream = stream}, q, k,
             v, qkv, at, op.eps);
    });
    offset += at.Li;
  }
}

void qkv_norm_rope_backward(const QkvNormRopeBackward& op, Stream& stream) {
  const auto [B, N, L, Dh] = op.dq.sizes<4>();
  int64_t offset = 0;
  for (size_t i = 0; i < kMaxQkvStreams; ++i) {
    const QkvStream& s = op.streams[i];
    if (!s.qkv) continue;
    const QkvPlaces at = {.B = B, .Li = s.qkv.dim(1), .N = N, .Dh = Dh, .L = L, .offset = offset};
    int64_t blocks = ceil_div(at.heads(), kHeads);
    float *q_parts = nullptr, *k_parts = nullptr;
    visit_float(op.dq.dtype, [&, Dh = Dh]<typename T>() {
      auto q = part_of<T>(op.dq, s.q_scale, op.q_rstd, op.cos, op.sin);
      auto k = part_of<T>(op.dk, s.k_scale, op.k_rstd, op.cos, op.sin);
      const auto v = part_of<T>(op.dv, {}, {}, {}, {});
      T* const dqkv = op.dqkv[i].data<T>();
      const T* const qkv = s.qkv.data<T>();
      const bool packed = qkv_packed_takes<T>(q, k, v, qkv, dqkv, at);
      if (packed) blocks = qkv_packed_parts<T>(at);
      if (op.dq_scale[i]) q.dscale = q_parts = scratch<float>(stream, blocks * Dh);
      if (op.dk_scale[i]) k.dscale = k_parts = scratch<float>(stream, blocks * Dh);
      if (packed) return qkv_packed_backward(dqkv, q, k, v, qkv, at, stream);
      launch(qkv_norm_rope_backward_kernel<T>,
             {.grid = {blocks, 3},
              .block = kThreads,
              .shared = static_cast<size_t>(kWarps * Dh) * sizeof(float),
              .stream = stream},
             dqkv, q, k, v, qkv, at);
    });
    // One after the other: the streams, and q and k, may share a scale.
    if (op.dq_scale[i])
      launch(qkv_norm_rope_backward_scale_kernel, column_config<1>(1, Dh, stream),
             op.dq_scale[i].data<float>(), q_parts, blocks, Dh);
    if (op.dk_scale[i])
      launch(qkv_norm_rope_backward_scale_kernel, column_config<1>(1, Dh, stream),
             op.dk_scale[i].data<float>(), k_parts, blocks, Dh);
    offset += at.Li;
  }
}

}  // namespace srpo::cuda
