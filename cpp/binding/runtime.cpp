// What the machine is: devices, threads, memory.
#include <napi.h>

#include "cpp/binding/arguments.h"
#include "cpp/binding/guarded.h"
#include "cpp/binding/register.h"
#include "cpp/core/check.h"
#include "cpp/cpu/isa.h"
#include "cpp/cpu/parallel.h"
#include "cpp/emulated/device.h"
#include "cpp/ops/op_table.h"

namespace srpo::binding {
namespace {

// hasDevice(device) -> boolean
Napi::Value has_device(const Napi::CallbackInfo& info) {
  const Arguments args(info, "device");
  return Napi::Boolean::New(info.Env(), has_backend(args.device(0, "device")));
}

// openEmulated(path): makes the emulated device, from the library at `path`
Napi::Value open_emulated(const Napi::CallbackInfo& info) {
  const Arguments args(info, "emulated");
  emulated::open_device(args.text(0, "path"));
  return info.Env().Undefined();
}

// emulatedSeed(seed): other schedules from here on
Napi::Value emulated_seed(const Napi::CallbackInfo& info) {
  const Arguments args(info, "emulated");
  const int64_t seed = args.integer(0, "seed");
  require_range("emulated", "seed", has_backend({DeviceKind::kEmulated, 0}), "an emulated device",
                "none");
  emulated::set_seed(static_cast<uint64_t>(seed));
  return info.Env().Undefined();
}

// cpuInstructionSet() -> "avx512 avx512_bf16"
Napi::Value cpu_instruction_set(const Napi::CallbackInfo& info) {
  return Napi::String::New(info.Env(), cpu::isa_text());
}

// cpuThreads() -> number; cpuSetThreads(n): 0 takes all; only while the stream is idle
Napi::Value cpu_threads(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), cpu::threads());
}
Napi::Value cpu_set_threads(const Napi::CallbackInfo& info) {
  const Arguments args(info, "threads");
  const int64_t count = args.integer(0, "count");
  require_range("threads", "count", count >= 0 && count <= 1024, "0 to 1024",
                std::to_string(count));
  stream_of({}).submit("threads", [count] { cpu::set_threads(static_cast<int>(count)); });
  return info.Env().Undefined();
}

// poolStats(device) -> [bytes in use, bytes cached, peak]
Napi::Value pool_stats(const Napi::CallbackInfo& info) {
  const Arguments args(info, "memory");
  const PoolStats stats = backend_of(args.device(0, "device")).pool->stats();
  const auto array = Napi::Array::New(info.Env(), 3);
  array.Set(0u, static_cast<double>(stats.in_use));
  array.Set(1u, static_cast<double>(stats.cached));
  array.Set(2u, static_cast<double>(stats.peak));
  return array;
}

// poolTrim(device): gives the memory that is cached now back once earlier work has ended
Napi::Value pool_trim(const Napi::CallbackInfo& info) {
  const Arguments args(info, "memory");
  const Backend& backend = backend_of(args.device(0, "device"));
  backend.stream->submit("trim", [trim = backend.pool->trim()] { trim->release(); });
  return info.Env().Undefined();
}

// poolLimit(device, bytes): no more than so many are handed out or kept; 0 ends the limit
Napi::Value pool_limit(const Napi::CallbackInfo& info) {
  const Arguments args(info, "memory");
  const int64_t bytes = args.integer(1, "bytes");
  require_range("memory", "bytes", bytes >= 0, "at least 0", std::to_string(bytes));
  backend_of(args.device(0, "device"))
      .pool->limit(bytes == 0 ? kNoLimit : static_cast<size_t>(bytes));
  return info.Env().Undefined();
}

// memoryLabel(name | null): what is allocated from here on is for, in messages
Napi::Value memory_label(const Napi::CallbackInfo& info) {
  const Arguments args(info, "memory");
  set_memory_label(args.raw(0).IsNull() ? nullptr : args.text(0, "name").c_str());
  return info.Env().Undefined();
}

// memoryLeft(device) -> [bytes free, bytes in all]
Napi::Value memory_left(const Napi::CallbackInfo& info) {
  const Arguments args(info, "memory");
  const MemorySource::Left left = backend_of(args.device(0, "device")).pool->left();
  const auto array = Napi::Array::New(info.Env(), 2);
  array.Set(0u, static_cast<double>(left.free));
  array.Set(1u, static_cast<double>(left.total));
  return array;
}

// deviceNote(device) -> what is known of devices of its kind
Napi::Value device_note(const Napi::CallbackInfo& info) {
  const Arguments args(info, "device");
  return Napi::String::New(info.Env(), note_of(args.device(0, "device").kind));
}

// opRows(device) -> { row: boolean }, whether the device has each row of the op table
Napi::Value op_rows(const Napi::CallbackInfo& info) {
  const Arguments args(info, "device");
  const OpTable& table = *backend_of(args.device(0, "device")).table;
  auto rows = Napi::Object::New(info.Env());
#define SRPO_OP(row, Op) rows.Set(#row, Napi::Boolean::New(info.Env(), table.row != nullptr));
#include "cpp/ops/op_list.inc"
#undef SRPO_OP
  return rows;
}

}  // namespace

void register_runtime(Napi::Env env, Napi::Object exports) {
  define<has_device>(env, exports, "hasDevice");
  define<open_emulated>(env, exports, "openEmulated");
  define<emulated_seed>(env, exports, "emulatedSeed");
  define<cpu_instruction_set>(env, exports, "cpuInstructionSet");
  define<cpu_threads>(env, exports, "cpuThreads");
  define<cpu_set_threads>(env, exports, "cpuSetThreads");
  define<pool_stats>(env, exports, "poolStats");
  define<pool_trim>(env, exports, "poolTrim");
  define<pool_limit>(env, exports, "poolLimit");
  define<memory_label>(env, exports, "memoryLabel");
  define<memory_left>(env, exports, "memoryLeft");
  define<device_note>(env, exports, "deviceNote");
  define<op_rows>(env, exports, "opRows");
}

}  // namespace srpo::binding
