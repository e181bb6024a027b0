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
// T is float or bfloat16; every sum and the rotation run in float.

#include "cpp/ops/attention/qkv_norm_rope.h"

#include <algorithm>
#include <vector>

#include "cpp/cpu/attention/qkv_norm_rope_kernels.h"
#include "cpp/cpu/isa.h"
#include "cpp/cpu/parallel.h"
#include "cpp/cpu/visit.h"

namespace srpo::cpu {
namespace {

constexpr int64_t kTokensOfPart = 32;  // of one partial sum of dscale; fixed, whatever the threads

const QkvNormRopeTables& tables() {
  static const auto& best =
      best_of(qkv_norm_rope_generic, qkv_norm_rope_avx2, qkv_norm_rope_avx512);
  return best;
}

template <typename T>
const QkvNormRopeKernels<T>& kernels() {
  if constexpr (sizeof(T) == 4)
    return tables().f32;
  else
    return tables().bf16;
}

/// A range of tokens of one sample of one stream.
struct Tokens {
  int64_t stream, b, first, end;  // within the stream
  int64_t offset;                 // of the stream's first token in the joint sequence
};

std::vector<Tokens> token_ranges(const std::array<QkvStream, kMaxQkvStreams>& streams) {
  std::vector<Tokens> ranges;
  int64_t offset = 0;
  for (int64_t s = 0; s < kMaxQkvStreams && streams[s].qkv; ++s) {
    const int64_t B = streams[s].qkv.dim(0), L = streams[s].qkv.dim(1);
    for (int64_t b = 0; b < B; ++b)
      for (int64_t first = 0; first < L; first += kTokensOfPart)
        ranges.push_back({s, b, first, std::min(L, first + kTokensOfPart), offset});
    offset += L;
  }
  return ranges;
}

/// The rotations of a range of positions, spelled out for every channel.
struct Turns {
  std::vector<float> cos, sin;  // [positions, Dh], or empty without a rotation
  int64_t Dh;

  Turns(const TensorView& cos_table, const TensorView& sin_table, int64_t first, int64_t positions,
        int64_t head_size)
      : Dh(head_size) {
    if (!cos_table) return;
    const int64_t half = Dh / 2;
    cos.resize(positions * Dh);
    sin.resize(positions * Dh);
    for (int64_t m = 0; m < positions * half; ++m) {
      const float c = cos_table.data<float>()[first * half + m];
      const float s = sin_table.data<float>()[first * half + m];
      cos[2 * m] = cos[2 * m + 1] = c;
      sin[2 * m] = -s;
      sin[2 * m + 1] = s;
    }
  }
  const float* cosines(int64_t i) const { return cos.empty() ? nullptr : cos.data() + i * Dh; }
  const float* sines(int64_t i) const { return sin.empty() ? nullptr : sin.data() + i * Dh; }
};

template <typename T>
const T* data_or_null(const TensorView& t) {
  return t ? t.data<T>() : nullptr;
}

template <typename T>
void forward(const QkvNormRopeForward& op) {
  const auto [B, N, L, Dh] = op.q.sizes<4>();
  const std::vector<Tokens> ranges = token_ranges(op.streams);
  parallel_blocks(static_cast<int64_t>(ranges.size()), [&, N = N, L = L, Dh = Dh](int64_t block) {
    const Tokens& range = ranges[block];
    const QkvStream& s = op.streams[range.stream];
    const Turns turns(op.cos, op.sin, range.offset + range.first, range.end - range.first, Dh);
    // Head by head: the joint side is then read and written in one stretch.
    for (int64_t n = 0; n < N; ++n)
      for (int64_t i = range.first; i < range.end; ++i) {
        const T* x = s.qkv.data<T>() + (range.b * s.qkv.dim(1) + i) * 3 * N * Dh;
        const int64_t row = (range.b * N + n) * L + range.offset + i;
        const float *cosines = turns.cosines(i - range.first),
                    *sines = turns.sines(i - range.first);
        const float q_rstd =
            kernels<T>().forward(op.q.data<T>() + row * Dh, x + n * Dh, data_or_null<T>(s.q_scale),
                                 cosines, sines, Dh, op.eps);
        const float k_rstd =
            kernels<T>().forward(op.k.data<T>() + row * Dh, x + (N + n) * Dh,
                                 data_or_null<T>(s.k_scale), cosines, sines, Dh, op.eps);
        if (op.q_rstd) op.q_rstd.data<float>()[row] = q_rstd;
        if (op.k_rstd) op.k_rstd.data<float>()[row] = k_rstd;
        std::copy_n(x + (2 * N + n) * Dh, Dh, op.v.data<T>() + row * Dh);
      }
  });
}

template <typename T>
void backward(const QkvNormRopeBackward& op) {
  const auto [B, N, L, Dh] = op.dq.sizes<4>();
  const std::vector<Tokens> ranges = token_ranges(op.streams);
  std::vector<float> parts(ranges.size() * 2 * Dh, 0.f);  // dq_scale and dk_scale of each range
  parallel_blocks(static_cast<int64_t>(ranges.size()), [&, N = N, L = L, Dh = Dh](int64_t block) {
    const Tokens& range = ranges[block];
    const QkvStream& s = op.streams[range.stream];
    float* dq_scale = op.dq_scale[range.stream] ? parts.data() + block * 2 * Dh : nullptr;
    float* dk_scale = op.dk_scale[range.stream] ? parts.data() + (block * 2 + 1) * Dh : nullptr;
    const Turns turns(op.cos, op.sin, range.offset + range.first, range.end - range.first, Dh);
    std::vector<float> work(Dh + 16);
    for (int64_t n = 0; n < N; ++n)
      for (int64_t i = range.first; i < range.end; ++i) {
        const int64_t token = (range.b * s.qkv.dim(1) + i) * 3 * N * Dh;
        const T* x = s.qkv.data<T>() + token;
        T* dx = op.dqkv[range.stream].data<T>() + token;
        const int64_t row = (range.b * N + n) * L + range.offset + i;
        const float *cosines = turns.cosines(i - range.first),
                    *sines = turns.sines(i - range.first);
        kernels<T>().backward(dx + n * Dh, dq_scale, op.dq.data<T>() + row * Dh, x + n * Dh,
                              data_or_null<T>(s.q_scale),
                              op.q_rstd ? op.q_rstd.data<float>()[row] : 1.f, cosines, sines, Dh,
                              work.data());
        kernels<T>().backward(dx + (N + n) * Dh, dk_scale, op.dk.data<T>() + row * Dh,
                              x + (N + n) * Dh, data_or_null<T>(s.k_scale),
                              op.k_rstd ? op.k_rstd.data<float>()[row] : 1.f, cosines, sines, Dh,
                              work.data());
        std::copy_n(op.dv.data<T>() + row * Dh, Dh, dx + (2 * N + n) * Dh);
      }
  });
  // Each stream's ranges are summed first, so that a leaf that both share gets one sum of each.
  for (int64_t stream = 0; stream < kMaxQkvStreams; ++stream)
    for (const bool of_k : {false, true}) {
      const TensorView& into = of_k ? op.dk_scale[stream] : op.dq_scale[stream];
      if (!into) continue;
      std::vector<float> total(Dh, 0.f);
      for (size_t block = 0; block < ranges.size(); ++block)
        if (ranges[block].stream == stream)
          for (int64_t d = 0; d < Dh; ++d) total[d] += parts[(block * 2 + of_k) * Dh + d];
      for (int64_t d = 0; d < Dh; ++d) into.data<float>()[d] += total[d];
    }
}

}  // namespace

void qkv_norm_rope_forward(const QkvNormRopeForward& op, Stream&) {
  visit_bits(op.q.dtype, [&]<typename T>() { forward<T>(op); });
}

void qkv_norm_rope_backward(const QkvNormRopeBackward& op, Stream&) {
  visit_bits(op.dq.dtype, [&]<typename T>() { backward<T>(op); });
}

}  // namespace srpo::cpu
