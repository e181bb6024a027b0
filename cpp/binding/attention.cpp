#include "cpp/ops/attention/attention.h"

#include "cpp/binding/arguments.h"
#include "cpp/binding/guarded.h"
#include "cpp/binding/register.h"
#include "cpp/core/check.h"
#include "cpp/ops/attention/qkv_norm_rope.h"
#include "cpp/ops/attention/qkv_projection.h"
#include "cpp/ops/attention/relative_bias.h"

namespace srpo::binding {
namespace {

// attentionForward(q, k, v, bias, keyMask, scale, causal, beside) -> [out, lse]
// out [B, Lq, N*Dh + beside]: the last columns are left as they come
Napi::Value attention_forward(const Napi::CallbackInfo& info) {
  const Arguments args(info, "attention");
  const Tensor q = args.tensor(0, "q");
  const Tensor k = args.tensor(1, "k");
  const Tensor v = args.tensor(2, "v");
  const Tensor bias = args.optional_tensor(3, "bias");
  const Tensor key_mask = args.optional_tensor(4, "keyMask");
  require_rank("attention", "q", q, 4, "[B, N, Lq, Dh]");
  const auto [B, N, Lq, Dh] = q->sizes<4>();

  const int64_t beside = args.integer(7, "beside");
  require_range("attention", "beside", beside >= 0, "a number of columns", std::to_string(beside));
  const Tensor out = Tensor::empty({B, Lq, N * Dh + beside}, q->dtype, q.device());
  const Tensor lse = Tensor::empty({B, N, Lq}, DType::kFloat32, q.device());
  const AttentionForward op{
      .out = out,
      .lse = lse,
      .q = q,
      .k = k,
      .v = v,
      .bias = bias,
      .key_mask = key_mask,
      .scale = args.number(5, "scale"),
      .causal = args.boolean(6, "causal"),
  };
  srpo::attention_forward(op, q.stream());
  return args.handles({out, lse});
}

// attentionBackward(dout, out, lse, q, k, v, bias, keyMask, scale, causal, dbias) -> [dq, dk, dv]
Napi::Value attention_backward(const Napi::CallbackInfo& info) {
  const Arguments args(info, "attention backward");
  const Tensor dout = args.tensor(0, "dout");
  const Tensor out = args.tensor(1, "out");
  const Tensor lse = args.tensor(2, "lse");
  const Tensor q = args.tensor(3, "q");
  const Tensor k = args.tensor(4, "k");
  const Tensor v = args.tensor(5, "v");
  const Tensor bias = args.optional_tensor(6, "bias");
  const Tensor key_mask = args.optional_tensor(7, "keyMask");
  const Tensor dbias = args.optional_tensor(10, "dbias");
  require_rank(args.op(), "q", q, 4, "[B, N, Lq, Dh]");
  require_not_empty(args.op(), "q", q);
  require_rank(args.op(), "k", k, 4, "[B, N, Lk, Dh]");
  require_not_empty(args.op(), "k", k);
  const auto [B, N, Lq, Dh] = q->sizes<4>();

  const Tensor dq = Tensor::like(q);
  const Tensor dk = Tensor::like(k);
  const Tensor dv = Tensor::like(v);
  // Scratch from the pool: freed when this returns, reused only by work that stands behind. Kernels for a
  // card have their own.
  Tensor dq_parts;
  if (q.device().kind == DeviceKind::kCpu) {
    const int64_t parts = attention_dq_parts(dbias ? N : B * N, k->dim(2));
    dq_parts = Tensor::empty({parts, B, N, Lq, (Dh + 15) / 16 * 16}, DType::kFloat32, q.device());
  }
  const AttentionBackward op{
      .dq = dq,
      .dk = dk,
      .dv = dv,
      .dbias = dbias,
      .dq_parts = dq_parts,
      .dout = dout,
      .out = out,
      .lse = lse,
      .q = q,
      .k = k,
      .v = v,
      .bias = bias,
      .key_mask = key_mask,
      .scale = args.number(8, "scale"),
      .causal = args.boolean(9, "causal"),
  };
  srpo::attention_backward(op, q.stream());
  return args.handles({dq, dk, dv});
}

/// The streams of qkvNormRope, from three arrays that TypeScript made equally long; null is "missing".
struct Streams {
  std::vector<Tensor> qkv, q_scale, k_scale;
  std::array<QkvStream, kMaxQkvStreams> views;

  explicit Streams(const Arguments& args, size_t first) {
    qkv = tensors_or_null(args, first, "qkv");
    q_scale = tensors_or_null(args, first + 1, "qScale");
    k_scale = tensors_or_null(args, first + 2, "kScale");
    require_range(args.op(), "streams",
                  !qkv.empty() && qkv.size() <= kMaxQkvStreams && q_scale.size() == qkv.size() &&
                      k_scale.size() == qkv.size(),
                  "1 or 2", std::to_string(qkv.size()));
    for (size_t i = 0; i < qkv.size(); ++i) {
      require_rank(args.op(), "qkv", qkv[i], 3, "[B, L, 3*N*Dh]");
      views[i] = {qkv[i], q_scale[i], k_scale[i]};
    }
  }

  bool any(const std::vector<Tensor>& scales) const {
    for (const Tensor& scale : scales)
      if (scale) return true;
    return false;
  }

  static std::vector<Tensor> tensors_or_null(const Arguments& args, size_t index,
                                             const char* name) {
    const Napi::Value value = args.raw(index);
    if (!value.IsArray())
      refuse("ERR_TYPE", args.op(), name, "an array of tensors or null", "something else");
    const auto array = value.As<Napi::Array>();
    std::vector<Tensor> all;
    for (uint32_t i = 0; i < array.Length(); ++i) {
      const Napi::Value item = array.Get(i);
      all.push_back(item.IsNull() ? Tensor() : tensor_of(item, args.op(), name));
    }
    return all;
  }
};

// qkvNormRopeForward(qkvs, qScales, kScales, cos, sin, heads, eps) -> [q, k, v, qRstd, kRstd]
Napi::Value qkv_norm_rope_forward(const Napi::CallbackInfo& info) {
  const Arguments args(info, "qkvNormRope");
  const Streams streams(args, 0);
  const Tensor cos = args.optional_tensor(3, "cos");
  const Tensor sin = args.optional_tensor(4, "sin");
  const Tensor& first = streams.qkv[0];
  const int64_t B = first->dim(0), N = args.integer(5, "heads"), width = first->dim(2);
  require_range("qkvNormRope", "heads", N > 0 && N <= width && width % (3 * N) == 0,
                "a divisor of a third of qkv's " + std::to_string(width) + " channels",
                std::to_string(N));
  const int64_t Dh = width / (3 * N);
  int64_t L = 0;
  for (const Tensor& qkv : streams.qkv) L += qkv->dim(1);

  const auto heads = [&] { return Tensor::empty({B, N, L, Dh}, first->dtype, first.device()); };
  const auto statistics = [&](bool wanted) {
    return wanted ? Tensor::empty({B, N, L}, DType::kFloat32, first.device()) : Tensor();
  };
  const Tensor q = heads(), k = heads(), v = heads();
  const Tensor q_rstd = statistics(streams.any(streams.q_scale));
  const Tensor k_rstd = statistics(streams.any(streams.k_scale));
  const QkvNormRopeForward op{
      .q = q,
      .k = k,
      .v = v,
      .q_rstd = q_rstd,
      .k_rstd = k_rstd,
      .streams = streams.views,
      .cos = cos,
      .sin = sin,
      .eps = args.number(6, "eps"),
  };
  srpo::qkv_norm_rope_forward(op, first.stream());
  return args.handles({q, k, v, q_rstd, k_rstd});
}

// qkvNormRopeBackward(qkvs, qScales, kScales, cos, sin, dq, dk, dv, qRstd, kRstd, dqScales, dkScales)
//   -> dqkvs
Napi::Value qkv_norm_rope_backward(const Napi::CallbackInfo& info) {
  const Arguments args(info, "qkvNormRope backward");
  const Streams streams(args, 0);
  const Tensor cos = args.optional_tensor(3, "cos");
  const Tensor sin = args.optional_tensor(4, "sin");
  const Tensor dq = args.tensor(5, "dq");
  const Tensor dk = args.tensor(6, "dk");
  const Tensor dv = args.tensor(7, "dv");
  const Tensor q_rstd = args.optional_tensor(8, "qRstd");
  const Tensor k_rstd = args.optional_tensor(9, "kRstd");
  const auto dq_scales = Streams::tensors_or_null(args, 10, "dqScale");
  const auto dk_scales = Streams::tensors_or_null(args, 11, "dkScale");
  const size_t count = streams.qkv.size();
  require_range(args.op(), "dqScale, dkScale",
                dq_scales.size() == count && dk_scales.size() == count,
                std::to_string(count) + ", one a stream",
                std::to_string(dq_scales.size()) + " and " + std::to_string(dk_scales.size()));

  QkvNormRopeBackward op{
      .dqkv = {},
      .dq_scale = {},
      .dk_scale = {},
      .dq = dq,
      .dk = dk,
      .dv = dv,
      .q_rstd = q_rstd,
      .k_rstd = k_rstd,
      .streams = streams.views,
      .cos = cos,
      .sin = sin,
  };
  std::vector<Tensor> dqkvs;
  for (size_t i = 0; i < streams.qkv.size(); ++i) {
    dqkvs.push_back(Tensor::like(streams.qkv[i]));
    op.dqkv[i] = dqkvs.back();
    op.dq_scale[i] = dq_scales[i];
    op.dk_scale[i] = dk_scales[i];
  }
  srpo::qkv_norm_rope_backward(op, dq.stream());
  return args.handles(dqkvs);
}

// qkvProjection(xs, ws, bs, qScales, kScales, cos, sin, heads, eps) -> [q, k, v]
Napi::Value qkv_projection(const Napi::CallbackInfo& info) {
  const Arguments args(info, "qkvProjection");
  constexpr const char* kNames[] = {"x", "w", "b", "qScale", "kScale"};
  std::vector<Tensor> given[5];  // a tensor or none a stream
  for (size_t i = 0; i < 5; ++i) {
    given[i] = Streams::tensors_or_null(args, i, kNames[i]);
    require_range(args.op(), "streams",
                  !given[i].empty() && given[i].size() <= kMaxQkvStreams &&
                      given[i].size() == given[0].size(),
                  "1 or 2", std::to_string(given[i].size()));
  }
  const Tensor cos = args.optional_tensor(5, "cos");
  const Tensor sin = args.optional_tensor(6, "sin");

  QkvProjection op{.q = {},
                   .k = {},
                   .v = {},
                   .streams = {},
                   .cos = cos,
                   .sin = sin,
                   .eps = static_cast<float>(args.number(8, "eps"))};
  int64_t L = 0;
  for (size_t i = 0; i < given[0].size(); ++i) {
    op.streams[i] = {given[0][i], given[1][i], given[2][i], given[3][i], given[4][i]};
    require_rank(args.op(), "x", op.streams[i].x, 3, "[B, L, D]");
    require_rank(args.op(), "w", op.streams[i].w, 2, "[3*N*Dh, D]");
    L += op.streams[i].x.dim(1);
  }
  const Tensor& x = given[0][0];
  const int64_t B = x->dim(0), N = args.integer(7, "heads"), width = op.streams[0].w.dim(0);
  require_range(args.op(), "heads", N > 0 && N <= width && width % (3 * N) == 0,
                "a divisor of a third of w's " + std::to_string(width) + " rows",
                std::to_string(N));
  const auto heads = [&] {
    return Tensor::empty({B, N, L, width / (3 * N)}, x->dtype, x.device());
  };
  const Tensor q = heads(), k = heads(), v = heads();
  op.q = q;
  op.k = k;
  op.v = v;
  srpo::qkv_projection(op, x.stream());
  return args.handles({q, k, v});
}

// relativeBiasForward(table, L, maxDistance) -> bias
Napi::Value relative_bias_forward(const Napi::CallbackInfo& info) {
  const Arguments args(info, "relativeBias");
  const Tensor table = args.tensor(0, "table");
  const int64_t L = args.integer(1, "L");
  require_rank("relativeBias", "table", table, 2, "[buckets, N]");
  const Tensor bias = Tensor::empty({table->dim(1), L, L}, table->dtype, table.device());
  srpo::relative_bias_forward(
      {.bias = bias, .table = table, .max_distance = args.integer(2, "maxDistance")},
      table.stream());
  return args.handle(bias);
}

// relativeBiasBackward(dbias, dtable, maxDistance)
Napi::Value relative_bias_backward(const Napi::CallbackInfo& info) {
  const Arguments args(info, "relativeBias backward");
  const Tensor dbias = args.tensor(0, "dbias");
  const Tensor dtable = args.tensor(1, "dtable");
  srpo::relative_bias_backward(
      {.dtable = dtable, .dbias = dbias, .max_distance = args.integer(2, "maxDistance")},
      dbias.stream());
  return info.Env().Undefined();
}

}  // namespace

void register_attention(Napi::Env env, Napi::Object exports) {
  define<attention_forward>(env, exports, "attentionForward");
  define<attention_backward>(env, exports, "attentionBackward");
  define<qkv_norm_rope_forward>(env, exports, "qkvNormRopeForward");
  define<qkv_norm_rope_backward>(env, exports, "qkvNormRopeBackward");
  define<qkv_projection>(env, exports, "qkvProjection");
  define<relative_bias_forward>(env, exports, "relativeBiasForward");
  define<relative_bias_backward>(env, exports, "relativeBiasBackward");
}

}  // namespace srpo::binding
