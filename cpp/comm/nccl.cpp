// Collectives over NCCL, whose library is opened at run time: a machine without it has one rank, and no
// header of it is needed to build. The declarations below are its C interface, as its documentation has it.
#include "cpp/comm/nccl.h"

#include <dlfcn.h>

#include <algorithm>
#include <mutex>
#include <vector>

#include "cpp/core/runtime.h"
#include "cpp/ops/elementwise/cast.h"
#include "cpp/ops/op_table.h"

namespace srpo::comm {
namespace {

struct UniqueId {
  char internal[128];
};
using Comm = void*;
using Result = int;  // 0 is success

// ncclDataType_t, ncclRedOp_t
constexpr int kUint8 = 1, kInt32 = 2, kFloat32 = 7;
constexpr int kSum = 0, kMax = 2;
constexpr int kOldest = 21400;  // ncclCommFinalize

// Of a bfloat16 sum at once, in elements: 64 MiB as float32.
constexpr int64_t kChunk = 16 << 20;

struct Library {
  std::string name;
  int version = 0;
  Result (*get_version)(int*);
  const char* (*error_string)(Result);
  const char* (*last_error)(Comm);
  Result (*unique_id)(UniqueId*);
  Result (*init_rank)(Comm*, int size, UniqueId, int rank);
  Result (*finalize)(Comm);
  Result (*destroy)(Comm);
  Result (*async_error)(Comm, Result*);
  Result (*all_reduce)(const void*, void*, size_t, int type, int op, Comm, void* stream);
  Result (*reduce_scatter)(const void*, void*, size_t, int type, int op, Comm, void* stream);
  Result (*all_gather)(const void*, void*, size_t, int type, Comm, void* stream);
  Result (*broadcast)(const void*, void*, size_t, int type, int root, Comm, void* stream);
};

std::string version_text(int code) {
  const int base = code < 10000 ? 1000 : 10000;  // 2.8 and before: 2804; then 23007
  return std::to_string(code / base) + "." + std::to_string(code % base / 100) + "." +
         std::to_string(code % 100);
}

Library load(const std::string& path) {
  Library library;
  library.name = path.empty() ? "libnccl.so.2" : path;
  void* opened = dlopen(library.name.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (opened == nullptr)
    throw Error("ERR_NCCL", "nccl: " + library.name + " does not open: " + dlerror() +
                                ". Install it (on Debian with NVIDIA's repository: apt-get install "
                                "libnccl2; by pip: nvidia-nccl-cu13) and set SRPO_NCCL to its path "
                                "if the loader does not find it");
  const auto find = [&](auto*& function, const char* symbol) {
    function = reinterpret_cast<std::remove_reference_t<decltype(function)>>(dlsym(opened, symbol));
    return function != nullptr;
  };
  const auto need = [&](auto*& function, const char* symbol) {
    if (!find(function, symbol))
      throw Error("ERR_NCCL", "nccl: " + library.name + " has no " + symbol);
  };
  need(library.get_version, "ncclGetVersion");
  library.get_version(&library.version);
  if (library.version < kOldest)
    throw Error("ERR_NCCL", "nccl: expected version " + version_text(kOldest) + " or newer, got " +
                                version_text(library.version) + " in " + library.name);
  need(library.error_string, "ncclGetErrorString");
  need(library.last_error, "ncclGetLastError");
  need(library.unique_id, "ncclGetUniqueId");
  need(library.init_rank, "ncclCommInitRank");
  need(library.finalize, "ncclCommFinalize");
  need(library.destroy, "ncclCommDestroy");
  need(library.async_error, "ncclCommGetAsyncError");
  need(library.all_reduce, "ncclAllReduce");
  need(library.reduce_scatter, "ncclReduceScatter");
  need(library.all_gather, "ncclAllGather");
  need(library.broadcast, "ncclBroadcast");
  return library;
}

/// Opened once a process: the path of the first call stays.
const Library& library_at(const std::string& path) {
  static std::mutex mutex;
  static Library* loaded = nullptr;
  const std::lock_guard lock(mutex);
  if (loaded == nullptr) loaded = new Library(load(path));
  return *loaded;
}

class NcclEngine : public Engine {
 public:
  NcclEngine(const Library& library, Comm comm, int rank, int size)
      : library_(library), comm_(comm), rank_(rank), size_(size) {}
  int rank() const override { return rank_; }
  int size() const override { return size_; }

  void all_reduce(void* data, int64_t count, DType dtype, Reduction reduction,
                  Stream& stream) override {
    const int op = reduction == Reduction::kMax ? kMax : kSum;
    if (dtype != DType::kBFloat16) return reduce(data, count, type_of(dtype), op, stream);
    // In float32, rounded once: a ring of bfloat16 rounds at every rank.
    auto* const at = static_cast<bfloat16*>(data);
    for (int64_t start = 0; start < count; start += kChunk) {
      const int64_t n = std::min(kChunk, count - start);
      void* wide = stream.scratch(static_cast<size_t>(n) * 4, nullptr);
      cast(wide, DType::kFloat32, at + start, DType::kBFloat16, n, stream);
      reduce(wide, n, kFloat32, op, stream);
      cast(at + start, DType::kBFloat16, wide, DType::kFloat32, n, stream);
    }
  }

  void reduce_scatter(const void* in, void* out, int64_t count, DType dtype,
                      Stream& stream) override {
    if (dtype != DType::kBFloat16) {
      check(library_.reduce_scatter(in, out, static_cast<size_t>(count), type_of(dtype), kSum,
                                    comm_, stream.native()),
            "ncclReduceScatter");
      return;
    }
    const auto* const from = static_cast<const bfloat16*>(in);
    const int64_t most = std::max<int64_t>(1, kChunk / size_);
    for (int64_t start = 0; start < count; start += most) {
      const int64_t n = std::min(most, count - start);
      auto* const wide = static_cast<float*>(
          stream.scratch(static_cast<size_t>(n) * static_cast<size_t>(size_ + 1) * 4, nullptr));
      for (int r = 0; r < size_; ++r)
        cast(wide + r * n, DType::kFloat32, from + r * count + start, DType::kBFloat16, n, stream);
      float* const sum = wide + size_ * n;
      check(library_.reduce_scatter(wide, sum, static_cast<size_t>(n), kFloat32, kSum, comm_,
                                    stream.native()),
            "ncclReduceScatter");
      cast(static_cast<bfloat16*>(out) + start, DType::kBFloat16, sum, DType::kFloat32, n, stream);
    }
  }

  void all_gather(const void* in, void* out, int64_t count, DType dtype, Stream& stream) override {
    check(library_.all_gather(in, out, static_cast<size_t>(count) * size_of(dtype), kUint8, comm_,
                              stream.native()),
          "ncclAllGather");
  }
  void broadcast(void* data, size_t bytes, int root, Stream& stream) override {
    check(library_.broadcast(data, data, bytes, kUint8, root, comm_, stream.native()),
          "ncclBroadcast");
  }
  void barrier(Stream& stream) override {
    const int32_t one = 1;
    reduce(stream.scratch(sizeof one, &one), 1, kInt32, kSum, stream);
  }

  void close() override {
    library_.finalize(comm_);
    library_.destroy(comm_);
  }

  const char* failure() override {
    Result status = 0;
    constexpr Result kInProgress = 7;
    if (library_.async_error(comm_, &status) != 0 || status == 0 || status == kInProgress)
      return nullptr;
    return library_.error_string(status);
  }

 private:
  static int type_of(DType dtype) { return dtype == DType::kInt32 ? kInt32 : kFloat32; }

  void reduce(void* data, int64_t count, int type, int op, Stream& stream) {
    check(library_.all_reduce(data, data, static_cast<size_t>(count), type, op, comm_,
                              stream.native()),
          "ncclAllReduce");
  }

  void cast(void* to, DType to_dtype, const void* from, DType from_dtype, int64_t count,
            Stream& stream) const {
    const auto view = [&](void* pointer, DType dtype) {
      TensorView t;
      t.pointer = pointer;
      t.dims[0] = count;
      t.rank = 1;
      t.dtype = dtype;
      t.device = stream.device();
      return t;
    };
    const auto run = backend_of(stream.device()).table->cast;
    run({.y = view(to, to_dtype), .x = view(const_cast<void*>(from), from_dtype)}, stream);
  }

  void check(Result status, const char* call) const {
    if (status == 0) return;
    throw Error("ERR_NCCL", std::string(call) + ": " + library_.error_string(status) + ": " +
                                library_.last_error(comm_));
  }

  const Library& library_;
  Comm comm_;
  int rank_, size_;
};

void check(const Library& library, Result status, const char* call) {
  if (status != 0)
    throw Error("ERR_NCCL", std::string("nccl: ") + call + ": " + library.error_string(status) +
                                ": " + library.last_error(nullptr));
}

}  // namespace

std::string nccl_version(const std::string& path) {
  const Library& library = library_at(path);
  return version_text(library.version) + ", " + library.name;
}

NcclId nccl_id(const std::string& path) {
  const Library& library = library_at(path);
  UniqueId id;
  check(library, library.unique_id(&id), "ncclGetUniqueId");
  NcclId bytes;
  std::copy(std::begin(id.internal), std::end(id.internal), bytes.begin());
  return bytes;
}

std::shared_ptr<Engine> open_nccl(const std::string& path, Device device, int rank, int size,
                                  const NcclId& id) {
  const Library& library = library_at(path);
  stream_of(device).native();
  UniqueId unique;
  std::copy(id.begin(), id.end(), unique.internal);
  Comm comm = nullptr;
  check(library, library.init_rank(&comm, size, unique, rank), "ncclCommInitRank");
  return std::make_shared<NcclEngine>(library, comm, rank, size);
}

}  // namespace srpo::comm
