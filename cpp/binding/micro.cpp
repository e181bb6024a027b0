#include "cpp/micro/render.h"

#include "cpp/binding/arguments.h"
#include "cpp/binding/guarded.h"
#include "cpp/binding/register.h"
#include "cpp/core/check.h"

namespace srpo::binding {
namespace {

constexpr const char* kOp = "microRender";
constexpr const char* kAttributeNames[] = {"shape",    "colour", "size",
                                           "position", "ground", "light"};
constexpr size_t kAttributes = std::size(kAttributeNames);
constexpr int64_t kLargestSize = 512;

uint32_t word(const char* name, int64_t value) {
  require_range(kOp, name, value >= 0 && value <= 0xffffffff, "0 to 2^32 - 1",
                std::to_string(value));
  return static_cast<uint32_t>(value);
}

int choice(const char* name, int64_t value, int count) {
  require_range(kOp, name, value >= 0 && value < count, "0 to " + std::to_string(count - 1),
                std::to_string(value));
  return static_cast<int>(value);
}

void require_count(const char* name, size_t count, size_t expected) {
  if (count != expected)
    refuse("ERR_SHAPE", kOp, name, std::to_string(expected) + " numbers", std::to_string(count));
}

std::vector<micro::Picture> pictures(const Arguments& args) {
  const auto numbers = args.integers(3, "scenes");
  const auto attributes = args.integers(4, "attributes");
  const auto styles = args.integers(5, "styles");
  require_count("attributes", attributes.size(), kAttributes * numbers.size());
  require_count("styles", styles.size(), numbers.size());
  std::vector<micro::Picture> all;
  for (size_t b = 0; b < numbers.size(); ++b) {
    int value[kAttributes];
    for (size_t i = 0; i < kAttributes; ++i)
      value[i] =
          choice(kAttributeNames[i], attributes[kAttributes * b + i], micro::kAttributeCounts[i]);
    all.push_back({
        .attributes = {value[0], value[1], value[2], value[3], value[4], value[5]},
        .style = static_cast<micro::Style>(choice("style", styles[b], micro::kStyles)),
        .number = word("scene", numbers[b]),
    });
  }
  return all;
}

// (seed, purpose, step, scenes, attributes, styles, size, dtype, coverage) -> [pictures, coverage]
Napi::Value micro_render(const Napi::CallbackInfo& info) {
  const Arguments args(info, kOp);
  const uint64_t seed = args.bits64(0, "seed");
  const int64_t size = args.integer(6, "size");
  require_range(kOp, "size", size >= 8 && size <= kLargestSize,
                "8 to " + std::to_string(kLargestSize), std::to_string(size));
  micro::MicroRender op{
      .pictures = {},
      .coverage = {},
      .scenes = pictures(args),
      .key = {.seed = {static_cast<uint32_t>(seed), static_cast<uint32_t>(seed >> 32)},
              .purpose = word("purpose", args.integer(1, "purpose")),
              .step = word("step", args.integer(2, "step")),
              .sample = 0},
  };
  const auto B = static_cast<int64_t>(op.scenes.size());
  const Tensor out = Tensor::empty({B, size, size, 3}, args.dtype(7, "dtype"), Device{});
  op.pictures = out;
  Tensor coverage;
  if (args.boolean(8, "coverage"))
    op.coverage = coverage = Tensor::empty({B, size, size}, DType::kUInt8, Device{});
  micro::micro_render(op, out.stream());
  return args.handles({out, coverage});
}

}  // namespace

void register_micro(Napi::Env env, Napi::Object exports) {
  define<micro_render>(env, exports, "microRender");
}

}  // namespace srpo::binding
