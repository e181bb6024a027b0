#include "cpp/binding/arguments.h"
#include "cpp/binding/guarded.h"
#include "cpp/binding/register.h"
#include "cpp/core/check.h"
#include "cpp/ops/random/random_fill.h"

namespace srpo::binding {
namespace {

uint32_t word(const char* op, const char* name, int64_t value) {
  require_range(op, name, value >= 0 && value <= 0xffffffff, "0 to 2^32 - 1",
                std::to_string(value));
  return static_cast<uint32_t>(value);
}

// (shape, seed, purpose, step, samples, offset, dtype, device) -> tensor
Napi::Value drawn(const Arguments& args, Distribution distribution) {
  const char* op_name = args.op();
  RandomFill op{
      .out = {},
      .distribution = distribution,
      .seed = args.bits64(1, "seed"),
      .purpose = word(op_name, "purpose", args.integer(2, "purpose")),
      .step = word(op_name, "step", args.integer(3, "step")),
      .samples = {},
      .offset = args.integer(5, "offset"),
  };
  for (const int64_t sample : args.integers(4, "sample"))
    op.samples.push_back(word(op_name, "sample", sample));
  const Tensor out =
      Tensor::empty(args.integers(0, "shape"), args.dtype(6, "dtype"), args.device(7, "device"));
  op.out = out;
  srpo::random_fill(op, op_name, out.stream());
  return args.handle(out);
}

Napi::Value randn(const Napi::CallbackInfo& info) {
  return drawn(Arguments(info, "randn"), Distribution::kNormal);
}
Napi::Value rand(const Napi::CallbackInfo& info) {
  return drawn(Arguments(info, "rand"), Distribution::kUniform);
}
Napi::Value random_bits(const Napi::CallbackInfo& info) {
  return drawn(Arguments(info, "randomBits"), Distribution::kBits);
}

}  // namespace

void register_random(Napi::Env env, Napi::Object exports) {
  define<randn>(env, exports, "randn");
  define<rand>(env, exports, "rand");
  define<random_bits>(env, exports, "randomBits");
}

}  // namespace srpo::binding
