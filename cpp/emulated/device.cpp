#include "cpp/emulated/device.h"

#include <dlfcn.h>

#include "cpp/core/error.h"
#include "cpp/core/queue_stream.h"
#include "cpp/core/runtime.h"
#include "cpp/emulated/column.h"

namespace srpo::emulated {
namespace {

constexpr Device kDevice{DeviceKind::kEmulated, 0};

void* library = nullptr;

template <typename F>
F* symbol(const char* name) {
  return reinterpret_cast<F*>(dlsym(library, name));
}

/// The library's, as much of it as the host can give.
class EmulatedMemory : public MemorySource {
 public:
  void* allocate(size_t bytes) override {
    constexpr size_t kMuch = size_t{64} << 20;      // from here on, ask whether it is there
    constexpr size_t kReserve = size_t{128} << 20;  // for JavaScript, which dies without memory
    if (bytes >= kMuch && bytes + kReserve > left().free) return nullptr;
    return memory_.allocate(bytes);
  }
  void release(void* pointer, size_t bytes) override { memory_.release(pointer, bytes); }
  Left left() override { return host_memory().left(); }
  void shrink() override { memory_.shrink(); }

 private:
  const Memory& memory_ = *symbol<MemoryOf>("srpo_emulated_memory")();
};

EmulatedMemory& memory() {
  static EmulatedMemory& one = *new EmulatedMemory;
  return one;
}

// Never destroyed: a finalizer that runs while the process ends may still free a tensor.
QueueStream& stream() {
  static QueueStream& one = *new QueueStream(kDevice, memory());
  return one;
}

}  // namespace

void open_device(const std::string& path) {
  if (has_backend(kDevice)) return;
  const std::string where = "emulated: " + path + ": ";
  library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) throw Error("ERR_ADDON", where + dlerror());
  const auto column = symbol<Column>("srpo_emulated_column");
  const OpTable* table = column == nullptr ? nullptr : column(column_signature());
  if (table == nullptr)
    throw Error("ERR_ADDON", where +
                                 "expected the op table of this addon, got another; run \"npm "
                                 "run build:emulated\"");
  static Pool& pool = *new Pool(kDevice, memory());
  register_backend(kDevice, {.stream = &stream(),
                             .pool = &pool,
                             .table = table,
                             .shut_down = [] { stream().stop(); },
                             .poisons = true});
}

void set_seed(uint64_t seed) {
  stream().submit("seed", [seed] { symbol<Seed>("srpo_emulated_seed")(seed); });
}

}  // namespace srpo::emulated
