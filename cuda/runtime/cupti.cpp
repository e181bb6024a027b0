#include "cuda/runtime/cupti.h"

#include "cpp/core/error.h"

#if __has_include(<cupti.h>)
#include <cupti.h>
#include <cxxabi.h>
#include <dlfcn.h>

#include <algorithm>
#include <cstdlib>
#include <mutex>
#include <unordered_map>

namespace srpo::cuda::cupti {
namespace {

// The functions of the library that are used, by name.
struct Library {
  decltype(&::cuptiGetVersion) GetVersion;
  decltype(&::cuptiGetResultString) GetResultString;
  decltype(&::cuptiGetTimestamp) GetTimestamp;
  decltype(&::cuptiActivityRegisterCallbacks) ActivityRegisterCallbacks;
  decltype(&::cuptiActivityEnable) ActivityEnable;
  decltype(&::cuptiActivityDisable) ActivityDisable;
  decltype(&::cuptiActivityFlushAll) ActivityFlushAll;
  decltype(&::cuptiActivityGetNextRecord) ActivityGetNextRecord;
  decltype(&::cuptiActivityPushExternalCorrelationId) ActivityPushExternalCorrelationId;
  decltype(&::cuptiActivityPopExternalCorrelationId) ActivityPopExternalCorrelationId;
  std::string why_not;
};

constexpr CUpti_ActivityKind kKinds[] = {
    // A launch is named by its call, so that calls are recorded too.
    CUPTI_ACTIVITY_KIND_EXTERNAL_CORRELATION,
    CUPTI_ACTIVITY_KIND_RUNTIME,
    CUPTI_ACTIVITY_KIND_DRIVER,
    CUPTI_ACTIVITY_KIND_CONCURRENT_KERNEL,
    CUPTI_ACTIVITY_KIND_MEMCPY,
    CUPTI_ACTIVITY_KIND_MEMSET};

Library open() {
  Library library{};
  const char* own = std::getenv("SRPO_CUPTI");
  const std::string major = std::to_string(CUPTI_API_VERSION / 10000);
  std::vector<std::string> names = {"libcupti.so." + major, "libcupti.so"};
  for (const char* folder :
       {"/usr/local/cuda/extras/CUPTI/lib64/", "/usr/local/cuda/lib64/", "/usr/local/cuda/lib/"})
    names.push_back(folder + ("libcupti.so." + major));
  if (own != nullptr) names = {own};
  void* handle = nullptr;
  for (const std::string& name : names) {
    handle = dlopen(name.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (handle != nullptr) break;
    library.why_not += (library.why_not.empty() ? "" : "; ") + std::string(dlerror());
  }
  if (handle == nullptr) return library;
  library.why_not.clear();
  const auto take = [&](auto& function, const char* name) {
    function = reinterpret_cast<std::remove_reference_t<decltype(function)>>(dlsym(handle, name));
    if (function == nullptr) library.why_not = std::string("libcupti has no ") + name;
  };
#define SRPO_TAKE(name) take(library.name, "cupti" #name)
  SRPO_TAKE(GetVersion);
  SRPO_TAKE(GetResultString);
  SRPO_TAKE(GetTimestamp);
  SRPO_TAKE(ActivityRegisterCallbacks);
  SRPO_TAKE(ActivityEnable);
  SRPO_TAKE(ActivityDisable);
  SRPO_TAKE(ActivityFlushAll);
  SRPO_TAKE(ActivityGetNextRecord);
  SRPO_TAKE(ActivityPushExternalCorrelationId);
  SRPO_TAKE(ActivityPopExternalCorrelationId);
#undef SRPO_TAKE
  if (!library.why_not.empty()) return library;
  // The records' layouts are those of the header: of a library of the same major version, not older.
  uint32_t version = 0;
  library.GetVersion(&version);
  if (version / 10000 != CUPTI_API_VERSION / 10000 || version < CUPTI_API_VERSION)
    library.why_not = "libcupti: expected version " + std::to_string(CUPTI_API_VERSION) +
                      " or newer of CUDA " + major + ", got " + std::to_string(version);
  return library;
}

const Library& library() {
  static const Library& one = *new Library(open());
  return one;
}

void require(CUptiResult result, const char* call) {
  if (result == CUPTI_SUCCESS) return;
  const char* text = nullptr;
  library().GetResultString(result, &text);
  throw Error("ERR_CUDA", std::string("profile: ") + call + ": " + (text != nullptr ? text : "?"));
}

std::mutex records_mutex;
std::vector<TimedKernel> records;                       // piece: the correlation for now
std::unordered_map<uint32_t, int64_t> piece_of_launch;  // by correlation
int64_t clock_offset = 0;                               // clock_ns() - CUPTI's clock

std::string demangled(const char* name) {
  if (name == nullptr) return "?";
  int status = 0;
  char* text = abi::__cxa_demangle(name, nullptr, nullptr, &status);
  std::string result = status == 0 && text != nullptr ? text : name;
  std::free(text);
  // "void srpo::cuda::(anonymous namespace)::f<float>(float*, ...)" as "f<float>"
  size_t depth = 0, end = result.size();
  for (size_t i = 0; i < result.size(); ++i) {
    depth += result[i] == '<';
    depth -= result[i] == '>' && depth > 0;
    if (result[i] == '(' && depth == 0 && result.compare(i, 11, "(anonymous ") != 0) {
      end = i;
      break;
    }
  }
  result.resize(end);
  const size_t angle = result.find('<');
  const size_t colons = result.rfind("::", angle);
  if (colons != std::string::npos) result.erase(0, colons + 2);
  if (result.compare(0, 5, "void ") == 0) result.erase(0, 5);
  return result;
}

void CUPTIAPI give_buffer(uint8_t** buffer, size_t* size, size_t* most) {
  *size = 1 << 20;
  *buffer = static_cast<uint8_t*>(std::aligned_alloc(8, *size));
  *most = 0;  // as many as fit
  if (*buffer == nullptr) *size = 0;
}

void take(const CUpti_Activity* record) {
  const auto add = [](std::string name, const auto& it, int64_t bytes) -> TimedKernel& {
    TimedKernel taken;
    taken.name = std::move(name);
    taken.piece = it.correlationId;
    taken.begin = static_cast<int64_t>(it.start) + clock_offset;
    taken.end = static_cast<int64_t>(it.end) + clock_offset;
    taken.bytes = bytes;
    return records.emplace_back(std::move(taken));
  };
  switch (record->kind) {
    case CUPTI_ACTIVITY_KIND_EXTERNAL_CORRELATION: {
      const auto& it = *reinterpret_cast<const CUpti_ActivityExternalCorrelation*>(record);
      piece_of_launch[it.correlationId] = static_cast<int64_t>(it.externalId);
      break;
    }
    case CUPTI_ACTIVITY_KIND_CONCURRENT_KERNEL:
    case CUPTI_ACTIVITY_KIND_KERNEL: {
      const auto& it = *reinterpret_cast<const CUpti_ActivityKernel10*>(record);
      TimedKernel& kernel = add(demangled(it.name), it, 0);
      kernel.grid[0] = it.gridX, kernel.grid[1] = it.gridY, kernel.grid[2] = it.gridZ;
      kernel.block[0] = it.blockX, kernel.block[1] = it.blockY, kernel.block[2] = it.blockZ;
      kernel.registers = it.registersPerThread;
      kernel.shared_bytes = it.staticSharedMemory + it.dynamicSharedMemory;
      break;
    }
    case CUPTI_ACTIVITY_KIND_MEMCPY: {
      const auto& it = *reinterpret_cast<const CUpti_ActivityMemcpy6*>(record);
      add("memcpy", it, static_cast<int64_t>(it.bytes));
      break;
    }
    case CUPTI_ACTIVITY_KIND_MEMSET: {
      const auto& it = *reinterpret_cast<const CUpti_ActivityMemset4*>(record);
      add("memset", it, static_cast<int64_t>(it.bytes));
      break;
    }
    default:
      break;
  }
}

void CUPTIAPI take_buffer(CUcontext, uint32_t, uint8_t* buffer, size_t, size_t valid) {
  {
    const std::lock_guard lock(records_mutex);
    CUpti_Activity* record = nullptr;
    while (library().ActivityGetNextRecord(buffer, valid, &record) == CUPTI_SUCCESS) take(record);
  }
  std::free(buffer);
}

}  // namespace

std::string why_not() {
  return library().why_not;
}

void begin() {
  {
    const std::lock_guard lock(records_mutex);
    records.clear();
    piece_of_launch.clear();
  }
  require(library().ActivityRegisterCallbacks(give_buffer, take_buffer),
          "cuptiActivityRegisterCallbacks");
  uint64_t now = 0;
  require(library().GetTimestamp(&now), "cuptiGetTimestamp");
  clock_offset = clock_ns() - static_cast<int64_t>(now);
  for (const CUpti_ActivityKind kind : kKinds) {
    const CUptiResult enabled = library().ActivityEnable(kind);
    if (enabled != CUPTI_SUCCESS)
      for (const CUpti_ActivityKind each : kKinds) library().ActivityDisable(each);
    require(enabled, "cuptiActivityEnable");
  }
}

void push(int64_t piece) {
  library().ActivityPushExternalCorrelationId(CUPTI_EXTERNAL_CORRELATION_KIND_CUSTOM0,
                                              static_cast<uint64_t>(piece));
}

void pop() {
  uint64_t last = 0;
  library().ActivityPopExternalCorrelationId(CUPTI_EXTERNAL_CORRELATION_KIND_CUSTOM0, &last);
}

std::vector<TimedKernel> end() {
  const CUptiResult flushed = library().ActivityFlushAll(0);
  for (const CUpti_ActivityKind kind : kKinds) library().ActivityDisable(kind);
  require(flushed, "cuptiActivityFlushAll");
  const std::lock_guard lock(records_mutex);
  for (TimedKernel& kernel : records) {
    const auto found = piece_of_launch.find(static_cast<uint32_t>(kernel.piece));
    kernel.piece = found == piece_of_launch.end() ? -1 : found->second;
  }
  std::sort(records.begin(), records.end(),
            [](const TimedKernel& a, const TimedKernel& b) { return a.begin < b.begin; });
  piece_of_launch.clear();
  return std::move(records);
}

}  // namespace srpo::cuda::cupti

#else  // a toolkit without the header

namespace srpo::cuda::cupti {

std::string why_not() {
  return "this build had no cupti.h";
}
void begin() {
  throw Error("ERR_CUDA", "profile: " + why_not());
}
void push(int64_t) {}
void pop() {}
std::vector<TimedKernel> end() {
  return {};
}

}  // namespace srpo::cuda::cupti

#endif
