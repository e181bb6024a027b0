#include "cpp/comm/mpi.h"

#include <dlfcn.h>

#include <mutex>

#include "cpp/comm/mpi/table.h"
#include "cpp/core/error.h"

namespace srpo::comm {
namespace {

std::mutex mutex;
const SrpoMpiTable* table = nullptr;
std::shared_ptr<Engine> engine;

void check(const char* failure) {
  if (failure != nullptr) throw Error("ERR_MPI", failure);
}

class MpiEngine : public Engine {
 public:
  MpiEngine(int rank, int size) : rank_(rank), size_(size) {}
  int rank() const override { return rank_; }
  int size() const override { return size_; }

  void all_reduce(void* data, int64_t count, DType dtype, Reduction reduction, Stream&) override {
    check(table->all_reduce(data, count, type_of(dtype), reduction == Reduction::kMax));
  }
  void reduce_scatter(const void* in, void* out, int64_t count, DType dtype, Stream&) override {
    check(table->reduce_scatter(in, out, count, type_of(dtype)));
  }
  void all_gather(const void* in, void* out, int64_t count, DType dtype, Stream&) override {
    check(table->all_gather(in, out, static_cast<size_t>(count) * size_of(dtype)));
  }
  void broadcast(void* data, size_t bytes, int root, Stream&) override {
    check(table->broadcast(data, bytes, root));
  }
  void barrier(Stream&) override { check(table->barrier()); }

 private:
  static int type_of(DType dtype) {
    switch (dtype) {
      case DType::kFloat32:
        return kSrpoMpiFloat32;
      case DType::kBFloat16:
        return kSrpoMpiBFloat16;
      case DType::kInt32:
        return kSrpoMpiInt32;
      default:
        return kSrpoMpiBytes;
    }
  }

  int rank_, size_;
};

void load(const std::string& path) {
  if (table != nullptr) return;
  // Global: MPI opens its own parts by name, and they look for its symbols.
  void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_GLOBAL);
  if (library == nullptr) throw Error("ERR_MPI", std::string("mpi: ") + dlerror());
  const auto open = reinterpret_cast<SrpoMpiOpen*>(dlsym(library, "srpo_mpi_open"));
  const SrpoMpiTable* found = open == nullptr ? nullptr : open();
  if (found == nullptr || found->version != kSrpoMpiVersion)
    throw Error("ERR_MPI", "mpi: " + path + " is not of this build; run \"npm run build:native\"");
  table = found;
}

}  // namespace

std::shared_ptr<Engine> open_mpi(const std::string& path) {
  const std::lock_guard lock(mutex);
  load(path);
  if (engine == nullptr) {
    int rank = 0, size = 0;
    check(table->begin(&rank, &size));
    engine = std::make_shared<MpiEngine>(rank, size);
  }
  return engine;
}

void share_by_mpi(void* data, size_t bytes, int root) {
  check(table == nullptr ? "MPI has not begun" : table->broadcast(data, bytes, root));
}

std::string mpi_version(const std::string& path) {
  const std::lock_guard lock(mutex);
  load(path);
  return table->library();
}

void end_mpi() {
  const std::lock_guard lock(mutex);
  if (table != nullptr) table->end();
}

}  // namespace srpo::comm
