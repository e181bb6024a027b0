// What the two forms of qkvNormRope's kernels share: one head at a time, and heads in packs of 16 bytes.
#pragma once
#include "cpp/core/stream.h"
#include "cpp/core/tensor_view.h"
#include "cpp/ops/attention/qkv_norm_rope.h"
#include "cuda/common/target.cuh"

namespace srpo::cuda {

/// Where heads come from and go to: stream side [B, Li, 3*N*Dh], joint side [B, N, L, Dh].
struct QkvPlaces {
  int64_t B, Li, N, Dh, L;
  int64_t offset;  // of the stream's first token in the joint sequence

  SRPO_HOST_DEVICE int64_t heads() const { return B * Li * N; }
  SRPO_HOST_DEVICE int64_t in_stream(int64_t head, int part) const {
    return (head / N * 3 + part) * N * Dh + head % N * Dh;
  }
  SRPO_HOST_DEVICE int64_t joint_token(int64_t head) const { return offset + head / N % Li; }
  SRPO_HOST_DEVICE int64_t in_joint(int64_t head) const {  // in heads
    return (head / N / Li * N + head % N) * L + joint_token(head);
  }
};

/// What q and k each have of their own; a v has none of it.
template <typename T>
struct QkvPart {
  T* joint;          // [B, N, L, Dh]
  const T* scale;    // [Dh], or null
  float* rstd;       // [B, N, L], or null
  float* dscale;     // [blocks, Dh] parts, or null
  const float* cos;  // [L, Dh/2], or null
  const float* sin;
};

/// Heads whose packs are the lanes of a whole fraction of a warp, aligned: 64, 128 and 256 in bfloat16.
template <typename T>
bool qkv_packed_takes(const QkvPart<T>& q, const QkvPart<T>& k, const QkvPart<T>& v, const T* qkv,
                      const T* dqkv, const QkvPlaces& at);
template <typename T>
void qkv_packed_forward(const QkvPart<T>& q, const QkvPart<T>& k, const QkvPart<T>& v, const T* qkv,
                        const QkvPlaces& at, float eps, Stream& stream);
/// Parts of dscale that a stream has.
template <typename T>
int64_t qkv_packed_parts(const QkvPlaces& at);
template <typename T>
void qkv_packed_backward(T* dqkv, const QkvPart<T>& q, const QkvPart<T>& k, const QkvPart<T>& v,
                         const T* qkv, const QkvPlaces& at, Stream& stream);

}  // namespace srpo::cuda
