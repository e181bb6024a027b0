// Projections to q, k and v, with the norm, the rotation and the layout of heads on the way out of the
// product: one launch for both streams. What the Hopper product does not take runs as the two ops that it is made of.
//
//   x, w, b      [B, Li, D], [3*N*Dh, D], [3*N*Dh]  T
//   q, k, v      [B, N, L, Dh]                      T      the streams' tokens follow one another
//   scales       [Dh]                               T
//   cos, sin     [L, Dh/2]                          float
//
// In bfloat16, on heads of 128, the projection stays in float until q, k and v are rounded.

#include <vector>

#include "cpp/ops/attention/qkv_projection_parts.h"
#include "cpp/ops/gemm/linear_products.h"
#include "cuda/common/dtype.cuh"
#include "cuda/common/launch.cuh"
#include "cuda/gemm/gemm_heads.h"

namespace srpo::cuda {

void linear_forward(const LinearForward& op, Stream& stream);
void qkv_norm_rope_forward(const QkvNormRopeForward& op, Stream& stream);

namespace {

/// `output` is where the projection would be, had it a place: that of q, as well aligned.
Gemm product_of(const QkvProjection& op, const QkvProjectionStream& s) {
  return forward_product(projection_of(s, projection_view(s, op.q.pointer)));
}

bool takes(const QkvProjection& op, const QkvProjectionStream& s) {
  const auto reads_pairs = [](const TensorView& scale) {
    return reinterpret_cast<uintptr_t>(scale.pointer) % sizeof(Pack<bfloat16, 2>) == 0;
  };
  return op.q.dim(3) == kHeadSize && takes_gemm_sm90(product_of(op, s)) &&
         packs<bfloat16>(op.k.pointer) && packs<bfloat16>(op.v.pointer) && reads_pairs(s.q_scale) &&
         reads_pairs(s.k_scale);
}

}  // namespace

void qkv_projection(const QkvProjection& op, Stream& stream) {
  bool all = true;
  for (const QkvProjectionStream& s : op.streams) all = all && (!s.x || takes(op, s));
  if (!all) {
    return project_in_parts(
        op, [&](int64_t bytes) -> void* { return scratch<unsigned char>(stream, bytes); },
        [&](const LinearForward& part) { cuda::linear_forward(part, stream); },
        [&](const QkvNormRopeForward& part) { cuda::qkv_norm_rope_forward(part, stream); });
  }
  std::vector<Gemm> products;
  std::vector<GemmHeads> heads;
  int offset = 0;
  for (const QkvProjectionStream& s : op.streams) {
    if (!s.x) continue;
    products.push_back(product_of(op, s));
    heads.push_back({.q = op.q.data<bfloat16>(),
                     .k = op.k.data<bfloat16>(),
                     .v = op.v.data<bfloat16>(),
                     .q_scale = s.q_scale.data<bfloat16>(),
                     .k_scale = s.k_scale.data<bfloat16>(),
                     .cos = op.cos.data<float>(),
                     .sin = op.sin.data<float>(),
                     .N = static_cast<int>(op.q.dim(1)),
                     .Li = static_cast<int>(s.x.dim(1)),
                     .L = static_cast<int>(op.q.dim(2)),
                     .offset = offset,
                     .eps = op.eps});
    offset += heads.back().Li;
  }
  if (products.size() == kMostProducts && go_together(products[0], products[1]))
    return gemm_sm90_heads(products, heads, stream);
  for (size_t i = 0; i < products.size(); ++i)
    gemm_sm90_heads({&products[i], 1}, {&heads[i], 1}, stream);
}

}  // namespace srpo::cuda
