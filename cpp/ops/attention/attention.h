#pragma once
#include "cpp/core/stream.h"
#include "cpp/core/tensor_view.h"

namespace srpo {

/// out[b, i, n*Dh + d] = sum over j of p[i, j] * v[b, n, j, d], with p the softmax over the keys j of
///   s[i, j] = scale * q[b, n, i] . k[b, n, j] + bias[n, i, j]
/// among those that the causal rule (j <= i) and the key mask leave. A row that sees no key gives 0.
/// Source: attention (Vaswani et al. 2017, sec. 3.2.1); in blocks as FlashAttention-2 (Dao 2023).
struct AttentionForward {
  TensorView out;  // [B, Lq, N*Dh]          out; or wider: its first N*Dh columns
  TensorView
      lse;       // [B, N, Lq]      float  out, log of the row's sum of exponentials, for backward;
                 //                        +infinity where a row sees no key
  TensorView q;  // [B, N, Lq, Dh]
  TensorView k;  // [B, N, Lk, Dh]
  TensorView v;  // [B, N, Lk, Dh]
  TensorView bias;      // [N, Lq, Lk]     float or the dtype of q; may be missing
  TensorView key_mask;  // [B, Lk]         int32, 0 hides the key; may be missing
  float scale;
  bool causal;
};

/// dq, dk and dv are written; dbias, if given, is added to.
struct AttentionBackward {
  TensorView dq;  // [B, N, Lq, Dh]         out
  TensorView dk;  // [B, N, Lk, Dh]         out
  TensorView dv;  // [B, N, Lk, Dh]         out
  TensorView
      dbias;  // [N, Lq, Lk]     float  added to, summed over the batch in order; may be missing
  TensorView
      dq_parts;  // [parts, B, N, Lq, Dh up to 16]  float  scratch of the cpu, see attention_dq_parts
  TensorView dout;      // [B, Lq, N*Dh]
  TensorView out;       // [B, Lq, N*Dh]    or wider, as in forward
  TensorView lse;       // [B, N, Lq]      float
  TensorView q;         // [B, N, Lq, Dh]
  TensorView k;         // [B, N, Lk, Dh]
  TensorView v;         // [B, N, Lk, Dh]
  TensorView bias;      // [N, Lq, Lk]     may be missing
  TensorView key_mask;  // [B, Lk]         may be missing
  float scale;
  bool causal;
};

void attention_forward(const AttentionForward& op, Stream& stream);
void attention_backward(const AttentionBackward& op, Stream& stream);

/// Into how many ranges backward splits the keys, each with a dq of its own that are summed in order:
/// enough for all cores where the heads are few. Depends on the shapes alone.
int64_t attention_dq_parts(int64_t batch_heads, int64_t Lk);

}  // namespace srpo
