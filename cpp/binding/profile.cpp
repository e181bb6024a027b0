// Where the time of a device's work goes, while somebody asks.
#include <napi.h>

#include <cmath>
#include <map>
#include <string>

#include "cpp/binding/arguments.h"
#include "cpp/binding/guarded.h"
#include "cpp/binding/register.h"
#include "cpp/core/runtime.h"

namespace srpo::binding {
namespace {

// profileBegin(device, timer): while the device is idle
Napi::Value profile_begin(const Napi::CallbackInfo& info) {
  const Arguments args(info, "profile");
  stream_of(args.device(0, "device")).profile_begin(args.text(1, "timer"));
  return info.Env().Undefined();
}

// profileSize(device) -> pieces of work submitted since
Napi::Value profile_size(const Napi::CallbackInfo& info) {
  const Arguments args(info, "profile");
  const int64_t size = stream_of(args.device(0, "device")).profile_size();
  return Napi::Number::New(info.Env(), static_cast<double>(size));
}

// Microseconds from the profile's beginning.
double since(int64_t origin, int64_t at) {
  return static_cast<double>(at - origin) / 1000;
}

Napi::Value three(Napi::Env env, const int64_t (&values)[3]) {
  auto array = Napi::Array::New(env, 3);
  for (uint32_t i = 0; i < 3; ++i) array.Set(i, static_cast<double>(values[i]));
  return array;
}

// profileEnd(device) -> { timer, origin (seconds of hrtime), ops, op, begin, end, kernels }: one entry of
// op (a place in ops), begin and end (microseconds) a piece; NaN where it has not run
Napi::Value profile_end(const Napi::CallbackInfo& info) {
  const Arguments args(info, "profile");
  const Napi::Env env = info.Env();
  const Profile taken = stream_of(args.device(0, "device")).profile_end();
  const size_t n = taken.pieces.size();
  auto ops = Napi::Array::New(env);
  auto op = Napi::Int32Array::New(env, n);
  auto begin = Napi::Float64Array::New(env, n), end = Napi::Float64Array::New(env, n);
  std::map<std::string, int32_t> places;
  for (size_t i = 0; i < n; ++i) {
    const TimedPiece& piece = taken.pieces[i];
    const auto [found, fresh] = places.emplace(piece.op, static_cast<int32_t>(places.size()));
    if (fresh) ops.Set(static_cast<uint32_t>(found->second), found->first);
    op[i] = found->second;
    const bool ran = piece.end != 0;
    begin[i] = ran ? since(taken.origin, piece.begin) : std::nan("");
    end[i] = ran ? since(taken.origin, piece.end) : std::nan("");
  }
  auto kernels = Napi::Array::New(env, taken.kernels.size());
  for (size_t i = 0; i < taken.kernels.size(); ++i) {
    const TimedKernel& kernel = taken.kernels[i];
    auto each = Napi::Object::New(env);
    each.Set("name", kernel.name);
    each.Set("piece", static_cast<double>(kernel.piece));
    each.Set("begin", since(taken.origin, kernel.begin));
    each.Set("end", since(taken.origin, kernel.end));
    each.Set("grid", three(env, kernel.grid));
    each.Set("block", three(env, kernel.block));
    each.Set("registers", static_cast<double>(kernel.registers));
    each.Set("sharedBytes", static_cast<double>(kernel.shared_bytes));
    each.Set("bytes", static_cast<double>(kernel.bytes));
    kernels.Set(static_cast<uint32_t>(i), each);
  }
  auto result = Napi::Object::New(env);
  result.Set("timer", taken.timer);
  result.Set("origin", static_cast<double>(taken.origin) / 1e9);
  result.Set("ops", ops);
  result.Set("op", op);
  result.Set("begin", begin);
  result.Set("end", end);
  result.Set("kernels", kernels);
  return result;
}

// rangePush(device, name), rangePop(device): stages, for tools that watch a GPU from outside
Napi::Value range_push(const Napi::CallbackInfo& info) {
  const Arguments args(info, "profile");
  stream_of(args.device(0, "device")).range_push(args.text(1, "name").c_str());
  return info.Env().Undefined();
}
Napi::Value range_pop(const Napi::CallbackInfo& info) {
  const Arguments args(info, "profile");
  stream_of(args.device(0, "device")).range_pop();
  return info.Env().Undefined();
}

}  // namespace

void register_profile(Napi::Env env, Napi::Object exports) {
  define<profile_begin>(env, exports, "profileBegin");
  define<profile_size>(env, exports, "profileSize");
  define<profile_end>(env, exports, "profileEnd");
  define<range_push>(env, exports, "rangePush");
  define<range_pop>(env, exports, "rangePop");
}

}  // namespace srpo::binding
