#include "cpp/binding/arguments.h"
#include "cpp/binding/guarded.h"
#include "cpp/binding/register.h"
#include "cpp/core/check.h"
#include "cpp/ops/update/adamw_step.h"
#include "cpp/ops/update/clip.h"
#include "cpp/ops/update/ema_update.h"
#include "cpp/ops/update/global_norm.h"
#include "cpp/ops/update/master.h"

namespace srpo::binding {
namespace {

// globalNorm(grad, squares | null, ranges) -> norm
Napi::Value global_norm(const Napi::CallbackInfo& info) {
  const Arguments args(info, "globalNorm");
  const Tensor grad = args.tensor(0, "grad");
  const Tensor squares = args.optional_tensor(1, "squares");
  const Tensor norm = Tensor::empty({1}, DType::kFloat32, grad.device());
  const GlobalNorm op{
      .norm = norm,
      .grad = grad,
      .squares = squares,
      .ranges = squares ? args.integers(2, "ranges") : std::vector<int64_t>{},
  };
  srpo::global_norm(op, grad.stream());
  return args.handle(norm);
}

// factoredNorm(dy, x) -> norm
Napi::Value factored_norm(const Napi::CallbackInfo& info) {
  const Arguments args(info, "factoredNorm");
  const Tensor dy = args.tensor(0, "dy");
  const Tensor x = args.tensor(1, "x");
  const Tensor norm = Tensor::empty({1}, DType::kFloat32, dy.device());
  srpo::factored_norm({.norm = norm, .dy = dy, .x = x}, dy.stream());
  return args.handle(norm);
}

// countNonFinite(counter, norm)
Napi::Value count_non_finite(const Napi::CallbackInfo& info) {
  const Arguments args(info, "countNonFinite");
  const Tensor counter = args.tensor(0, "counter");
  const Tensor norm = args.tensor(1, "norm");
  srpo::count_non_finite({.counter = counter, .norm = norm}, counter.stream());
  return info.Env().Undefined();
}

// clip(grad, norm, maxNorm)
Napi::Value clip(const Napi::CallbackInfo& info) {
  const Arguments args(info, "clip");
  const Tensor grad = args.tensor(0, "grad");
  const Tensor norm = args.tensor(1, "norm");
  srpo::clip({.grad = grad, .norm = norm, .max_norm = args.number(2, "maxNorm")}, grad.stream());
  return info.Env().Undefined();
}

// splitMaster(master, weights, remainder)
Napi::Value split_master(const Napi::CallbackInfo& info) {
  const Arguments args(info, "splitMaster");
  const Tensor master = args.tensor(0, "master");
  const Tensor weights = args.tensor(1, "weights");
  const Tensor remainder = args.tensor(2, "remainder");
  srpo::split_master({.weights = weights, .remainder = remainder, .master = master},
                     master.stream());
  return info.Env().Undefined();
}

// joinMaster(weights, remainder) -> master
Napi::Value join_master(const Napi::CallbackInfo& info) {
  const Arguments args(info, "joinMaster");
  const Tensor weights = args.tensor(0, "weights");
  const Tensor remainder = args.tensor(1, "remainder");
  const Tensor master = Tensor::like(weights, DType::kFloat32);
  srpo::join_master({.master = master, .weights = weights, .remainder = remainder},
                    weights.stream());
  return args.handle(master);
}

/// Of three arguments from `first` on; none where the first is undefined.
std::optional<StochasticRounding> rounding_of(const Arguments& args, size_t first) {
  if (args.raw(first).IsUndefined()) return std::nullopt;
  return StochasticRounding{
      .seed = args.bits64(first, "seed"),
      .purpose = static_cast<uint32_t>(args.integer(first + 1, "purpose")),
      .offset = args.integer(first + 2, "offset"),
  };
}

// adamwStep(weights, remainder, m, v, mScale, vScale, grad, gradNorm, skipped,
//   lr, beta1, beta2, eps, weightDecay, maxGradNorm, step,
//   seed, purpose, offset, momentSeed, momentPurpose, momentOffset, dy, x, first)
// seed to offset round bfloat16 weights, momentSeed to momentOffset moments; undefined: not so. The last
// three are the gradient's factors, where grad is null.
Napi::Value adamw_step(const Napi::CallbackInfo& info) {
  const Arguments args(info, "adamwStep");
  const Tensor weights = args.tensor(0, "weights");
  const Tensor remainder = args.optional_tensor(1, "remainder");
  const Tensor m = args.tensor(2, "m");
  const Tensor v = args.tensor(3, "v");
  const Tensor m_scale = args.optional_tensor(4, "mScale");
  const Tensor v_scale = args.optional_tensor(5, "vScale");
  const Tensor grad = args.optional_tensor(6, "grad");
  const Tensor dy = args.optional_tensor(22, "dy");
  const Tensor x = args.optional_tensor(23, "x");
  const Tensor grad_norm = args.optional_tensor(7, "gradNorm");
  const Tensor skipped = args.optional_tensor(8, "skipped");
  const AdamwStep op{
      .weights = weights,
      .remainder = remainder,
      .m = m,
      .v = v,
      .m_scale = m_scale,
      .v_scale = v_scale,
      .grad = grad,
      .factors = {.dy = dy, .x = x, .first = args.integer(24, "first")},
      .grad_norm = grad_norm,
      .skipped = skipped,
      .lr = args.number64(9, "lr"),
      .beta1 = args.number64(10, "beta1"),
      .beta2 = args.number64(11, "beta2"),
      .eps = args.number64(12, "eps"),
      .weight_decay = args.number64(13, "weightDecay"),
      .max_norm = args.number(14, "maxGradNorm"),
      .step = args.integer(15, "step"),
      .rounding = rounding_of(args, 16),
      .moment_rounding = rounding_of(args, 19),
  };
  srpo::adamw_step(op, weights.stream());
  return info.Env().Undefined();
}

// emaUpdate(ema, weights, remainder, decay)
Napi::Value ema_update(const Napi::CallbackInfo& info) {
  const Arguments args(info, "emaUpdate");
  const Tensor ema = args.tensor(0, "ema");
  const Tensor weights = args.tensor(1, "weights");
  const Tensor remainder = args.optional_tensor(2, "remainder");
  const EmaUpdate op{
      .ema = ema,
      .weights = weights,
      .remainder = remainder,
      .decay = args.number64(3, "decay"),
  };
  srpo::ema_update(op, ema.stream());
  return info.Env().Undefined();
}

}  // namespace

void register_update(Napi::Env env, Napi::Object exports) {
  define<global_norm>(env, exports, "globalNorm");
  define<factored_norm>(env, exports, "factoredNorm");
  define<count_non_finite>(env, exports, "countNonFinite");
  define<clip>(env, exports, "clip");
  define<split_master>(env, exports, "splitMaster");
  define<join_master>(env, exports, "joinMaster");
  define<adamw_step>(env, exports, "adamwStep");
  define<ema_update>(env, exports, "emaUpdate");
}

}  // namespace srpo::binding
