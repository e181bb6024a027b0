// qkvNormRope (qkv_norm_rope.cu) in packs of 16 bytes: each head is read once. Some lanes have a head, a
// pack each, and keep their columns of the token's angles and of the scale for all heads that they take;
// neighbouring groups take neighbouring tokens, whose heads lie side by side on the joint side. Four heads
// are loaded at once.

#include "cuda/attention/qkv_norm_rope.h"
#include "cuda/common/barrier.cuh"
#include "cuda/common/dtype.cuh"
#include "cuda/common/launch.cuh"
#include "cuda/common/math.cuh"
#include "cuda/common/shared.cuh"
#include "cuda/common/warp.cuh"

namespace srpo::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kHeads = 8;  // of a group of lanes
constexpr int kAtOnce = 4;

/// What a lane has of its token and columns.
template <int kLanes, typename T>
struct Columns {
  static constexpr int kN = kPack<T>, kDh = kLanes * kN;
  int64_t token, joint_token, sample;
  int d, first_head, end_head;
  bool inside;  // else the last token again, not stored
  float scale[kN], cos[kN / 2], sin[kN / 2];

  SRPO_DEVICE Columns(const QkvPart<T>& part, const QkvPlaces& at) {
    constexpr int kTokens = kThreads / kLanes;
    const int64_t mine = int64_t{blockIdx.x} * kTokens + static_cast<int>(threadIdx.x) / kLanes;
    inside = mine < at.B * at.Li;
    token = inside ? mine : at.B * at.Li - 1;
    sample = token / at.Li;
    joint_token = at.offset + token % at.Li;
    d = static_cast<int>(threadIdx.x) % kLanes * kN;
    first_head = static_cast<int>(blockIdx.y) / 3 * kHeads;
    end_head = first_head + kHeads < at.N ? first_head + kHeads : static_cast<int>(at.N);
    if (part.scale != nullptr) load_pack(scale, part.scale + d);
    if (part.cos != nullptr) {
      load_pack(cos, part.cos + joint_token * (kDh / 2) + d / 2);
      load_pack(sin, part.sin + joint_token * (kDh / 2) + d / 2);
    }
  }
  SRPO_DEVICE int64_t in_stream(const QkvPlaces& at, int head) const {
    return ((token * 3 + static_cast<int>(blockIdx.y) % 3) * at.N + head) * kDh + d;
  }
  SRPO_DEVICE int64_t head_in_joint(const QkvPlaces& at, int head) const {
    return (sample * at.N + head) * at.L + joint_token;
  }
  /// Each pair by its angle, or back (sign -1).
  SRPO_DEVICE void turn(float (&v)[kN], float sign) const {
#pragma unroll
    for (int j = 0; j < kN; j += 2) {
      const float c = cos[j / 2], s = sign * sin[j / 2], even = v[j];
      v[j] = even * c - v[j + 1] * s;
      v[j + 1] = v[j + 1] * c + even * s;
    }
  }
};

template <typename T>
SRPO_DEVICE QkvPart<T> part_of_block(const QkvPart<T>& q, const QkvPart<T>& k,
                                     const QkvPart<T>& v) {
  const int which = static_cast<int>(blockIdx.y) % 3;
  QkvPart<T> part = v;  // a copy: a reference to one of three would put them all in local memory
  if (which == 0) part = q;
  if (which == 1) part = k;
  return part;
}

template <int kLanes, typename T>
__global__ void __launch_bounds__(kThreads)
    qkv_norm_rope_forward_packed_kernel(const QkvPart<T> q, const QkvPart<T> k, const QkvPart<T> v,
                                        const T* qkv, const QkvPlaces at, float eps) {
  wait_for_earlier_kernel();
  constexpr int kN = kPack<T>;
  const QkvPart<T> part = part_of_block(q, k, v);
  const Columns<kLanes, T> my(part, at);
  for (int first = my.first_head; first < my.end_head; first += kAtOnce) {
    Pack<T, kN> held[kAtOnce];
#pragma unroll
    for (int i = 0; i < kAtOnce; ++i)
      if (first + i < my.end_head) load_pack(held[i], qkv + my.in_stream(at, first + i));
#pragma unroll
    for (int i = 0; i < kAtOnce; ++i) {
      if (first + i >= my.end_head) break;
      float x[kN];
#pragma unroll
      for (int j = 0; j < kN; ++j) x[j] = float(held[i].value[j]);
      const int64_t to = my.head_in_joint(at, first + i);
      if (part.scale != nullptr) {
        float squares = 0.f;
#pragma unroll
        for (int j = 0; j < kN; ++j) squares += x[j] * x[j];
        const float rstd = rsqrtf(warp_sum(squares, kLanes) / (kLanes * kN) + eps);
#pragma unroll
        for (int j = 0; j < kN; ++j) x[j] *= rstd * my.scale[j];
        if (part.rstd != nullptr && my.inside && my.d == 0) part.rstd[to] = rstd;
      }
      if (part.cos != nullptr) my.turn(x, 1.f);
      if (my.inside) store_pack(part.joint + to * (kLanes * kN) + my.d, x);
    }
  }
}

/// A block's sums of dscale, of the groups of lanes.
template <int kLanes, typename T>
struct ScaleSums {
  float of_group[kThreads / kLanes][kLanes * kPack<T>];
};

template <int kLanes, typename T>
__global__ void __launch_bounds__(kThreads)
    qkv_norm_rope_backward_packed_kernel(T* dqkv, const QkvPart<T> q, const QkvPart<T> k,
                                         const QkvPart<T> v, const T* qkv, const QkvPlaces at) {
  wait_for_earlier_kernel();
  constexpr int kN = kPack<T>, kDh = kLanes * kN;
  const QkvPart<T> part = part_of_block(q, k, v);
  const Columns<kLanes, T> my(part, at);
  float dscale[kN] = {};
  for (int first = my.first_head; first < my.end_head; first += kAtOnce) {
    Pack<T, kN> of_dy[kAtOnce], of_x[kAtOnce];
    float rstd[kAtOnce];
#pragma unroll
    for (int i = 0; i < kAtOnce; ++i) {
      if (first + i >= my.end_head) break;
      const int64_t head = my.head_in_joint(at, first + i);
      load_pack(of_dy[i], part.joint + head * kDh + my.d);
      if (part.scale == nullptr) continue;
      load_pack(of_x[i], qkv + my.in_stream(at, first + i));
      rstd[i] = part.rstd[head];
    }
#pragma unroll
    for (int i = 0; i < kAtOnce; ++i) {
      if (first + i >= my.end_head) break;
      float g[kN];
#pragma unroll
      for (int j = 0; j < kN; ++j) g[j] = float(of_dy[i].value[j]);
      if (part.cos != nullptr) my.turn(g, -1.f);
      if (part.scale != nullptr) {
        float xhat[kN], mean = 0.f;
#pragma unroll
        for (int j = 0; j < kN; ++j) {
          xhat[j] = float(of_x[i].value[j]) * rstd[i];
          if (my.inside) dscale[j] += g[j] * xhat[j];
          g[j] *= my.scale[j];
          mean += g[j] * xhat[j];
        }
        mean = warp_sum(mean, kLanes) / kDh;
#pragma unroll
        for (int j = 0; j < kN; ++j) g[j] = rstd[i] * (g[j] - xhat[j] * mean);
      }
      if (my.inside) store_pack(dqkv + my.in_stream(at, first + i), g);
    }
  }
  if (part.dscale == nullptr) return;
  auto& sums = shared_memory<ScaleSums<kLanes, T>>();
#pragma unroll
  for (int j = 0; j < kN; ++j)
    sums.of_group[static_cast<int>(threadIdx.x) / kLanes][my.d + j] = dscale[j];
  block_barrier();
  for (int d = static_cast<int>(threadIdx.x); d < kDh; d += kThreads) {
    float sum = 0.f;
    for (int group = 0; group < kThreads / kLanes; ++group) sum += sums.of_group[group][d];
    part.dscale[(int64_t{blockIdx.y} / 3 * gridDim.x + blockIdx.x) * kDh + d] = sum;
  }
}

/// Lanes of a head; 0 if they are no such fraction of a warp.
template <typename T>
int lanes_of(int64_t Dh) {
  for (const int lanes : {8, 16, 32})
    if (Dh == lanes * kPack<T>) return lanes;
  return 0;
}
/// Calls f.template operator()<kLanes>().
template <typename T, typename F>
void visit_lanes(int64_t Dh, const F& f) {
  if (lanes_of<T>(Dh) == 8) f.template operator()<8>();
  if (lanes_of<T>(Dh) == 16) f.template operator()<16>();
  if (lanes_of<T>(Dh) == 32) f.template operator()<32>();
}

template <int kLanes>
Extent grid_of(const QkvPlaces& at) {
  return {ceil_div(at.B * at.Li, kThreads / kLanes), 3 * ceil_div(at.N, kHeads)};
}

}  // namespace

template <typename T>
bool qkv_packed_takes(const QkvPart<T>& q, const QkvPart<T>& k, const QkvPart<T>& v, const T* qkv,
                      const T* dqkv, const QkvPlaces& at) {
  bool aligned = packs<T>(qkv) && packs<T>(dqkv) && at.N < (1 << 16);
  for (const QkvPart<T>* part : {&q, &k, &v})
    aligned = aligned && packs<T>(part->joint) && packs<T>(part->scale) &&
              packs<float>(part->cos) && packs<float>(part->sin);
  return aligned && lanes_of<T>(at.Dh) != 0;
}

template <typename T>
void qkv_packed_forward(const QkvPart<T>& q, const QkvPart<T>& k, const QkvPart<T>& v, const T* qkv,
                        const QkvPlaces& at, float eps, Stream& stream) {
  visit_lanes<T>(at.Dh, [&]<int kLanes>() {
    launch(qkv_norm_rope_forward_packed_kernel<kLanes, T>,
           {.grid = grid_of<kLanes>(at), .block = kThreads, .stream = stream}, q, k, v, qkv, at,
           eps);
  });
}

template <typename T>
int64_t qkv_packed_parts(const QkvPlaces& at) {
  int64_t parts = 0;
  visit_lanes<T>(at.Dh, [&]<int kLanes>() {
    const Extent grid = grid_of<kLanes>(at);
    parts = grid.x * (grid.y / 3);
  });
  return parts;
}

template <typename T>
void qkv_packed_backward(T* dqkv, const QkvPart<T>& q, const QkvPart<T>& k, const QkvPart<T>& v,
                         const T* qkv, const QkvPlaces& at, Stream& stream) {
  visit_lanes<T>(at.Dh, [&]<int kLanes>() {
    launch(qkv_norm_rope_backward_packed_kernel<kLanes, T>,
           {.grid = grid_of<kLanes>(at),
            .block = kThreads,
            .shared = sizeof(ScaleSums<kLanes, T>),
            .stream = stream},
           dqkv, q, k, v, qkv, at);
  });
}

#define SRPO_QKV_PACKED(T)                                                                       \
  template bool qkv_packed_takes(const QkvPart<T>&, const QkvPart<T>&, const QkvPart<T>&,        \
                                 const T*, const T*, const QkvPlaces&);                          \
  template void qkv_packed_forward(const QkvPart<T>&, const QkvPart<T>&, const QkvPart<T>&,      \
                                   const T*, const QkvPlaces&, float, Stream&);                  \
  template int64_t qkv_packed_parts<T>(const QkvPlaces&);                                        \
  template void qkv_packed_backward(T*, const QkvPart<T>&, const QkvPart<T>&, const QkvPart<T>&, \
                                    const T*, const QkvPlaces&, Stream&);
SRPO_QKV_PACKED(float)
SRPO_QKV_PACKED(bfloat16)
#undef SRPO_QKV_PACKED

}  // namespace srpo::cuda
