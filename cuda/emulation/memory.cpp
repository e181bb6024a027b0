#include "cuda/emulation/memory.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <ucontext.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <iterator>
#include <map>
#include <mutex>

namespace srpo::emulation {
namespace {

constexpr size_t kAlignment = 256;
constexpr size_t kPage = 4096;
constexpr size_t kHugePage = size_t{2} << 20;
constexpr size_t kGrowth = size_t{1} << 20;  // made writable at a time

size_t round_up(size_t bytes, size_t to) {
  return (bytes + to - 1) / to * to;
}

/// What is handed out for `bytes`.
size_t whole(size_t bytes) {
  return round_up(std::max<size_t>(bytes, 1), kAlignment);
}

/// Address space: [0, open) of it can be used, [0, top) is or was.
struct Room {
  std::mutex mutex;
  char* base = nullptr;
  size_t size = 0, top = 0;
  std::atomic<size_t> open = 0;
  std::map<size_t, size_t> free;  // bytes, by where; no two of them touch

  Room() {
    for (size = size_t{1} << 40; size >= size_t{1} << 32 && base == nullptr; size /= 2) {
      void* at = mmap(nullptr, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
      if (at == MAP_FAILED) continue;
      const size_t skip = round_up(reinterpret_cast<size_t>(at), kHugePage) - size_t(at);
      base = static_cast<char*>(at) + skip;
      size -= skip;
      return;
    }
  }
  bool has(const void* address) const {
    return base != nullptr && address >= base && address < base + open;
  }
};

Room& room() {
  static Room& one =
      *new Room;  // a finalizer that runs while the process ends may still free a tensor
  return one;
}

// ---- whoever comes to a shut room ---------------------------------------------------------------

std::atomic<bool> shut = false;
pthread_t shut_to;
void (*touched)(bool writes) = nullptr;
struct sigaction before;

void on_fault(int signal, siginfo_t* info, void* context) {
  if (room().has(info->si_addr)) {
    if (!shut || !pthread_equal(pthread_self(), shut_to)) {
      sched_yield();
      return;  // and try again
    }
    constexpr int kWrites = 2;  // of a page fault's error code
    const auto* registers = static_cast<ucontext_t*>(context)->uc_mcontext.gregs;
    touched((registers[REG_ERR] & kWrites) != 0);  // goes back only if no fiber runs
  }
  if ((before.sa_flags & SA_SIGINFO) != 0)
    before.sa_sigaction(signal, info, context);
  else if (before.sa_handler != SIG_DFL && before.sa_handler != SIG_IGN)
    before.sa_handler(signal);
  else
    sigaction(SIGSEGV, &before, nullptr);  // and fail again
}

void protect(int how) {
  if (room().open > 0) mprotect(room().base, room().open, how);
}

}  // namespace

void* allocate(size_t bytes) {
  Room& r = room();
  const std::lock_guard lock(r.mutex);
  bytes = whole(bytes);
  const size_t alignment = bytes >= kHugePage ? kHugePage : kAlignment;
  for (const auto& [start, size] : r.free) {
    const size_t at = round_up(start, alignment), end = start + size;
    if (at + bytes > end) continue;
    if (end > at + bytes) r.free.emplace(at + bytes, end - at - bytes);
    r.free.erase(start);
    if (at > start) r.free.emplace(start, at - start);
    return r.base + at;
  }
  const size_t at = round_up(r.top, alignment);
  if (r.base == nullptr || at + bytes > r.size) return nullptr;
  if (at + bytes > r.open) {
    const size_t open = std::min(r.size, round_up(at + bytes, kGrowth));
    if (mprotect(r.base + r.open, open - r.open, PROT_READ | PROT_WRITE) != 0) return nullptr;
    r.open = open;
  }
  if (bytes >= kHugePage) madvise(r.base + at, bytes, MADV_HUGEPAGE);
  if (at > r.top) r.free.emplace(r.top, at - r.top);
  r.top = at + bytes;
  return r.base + at;
}

void release(void* pointer, size_t bytes) {
  Room& r = room();
  const std::lock_guard lock(r.mutex);
  const auto at = static_cast<size_t>(static_cast<char*>(pointer) - r.base);
  const auto here = r.free.emplace(at, whole(bytes)).first;
  const auto next = std::next(here);
  if (next != r.free.end() && here->first + here->second == next->first) {
    here->second += next->second;
    r.free.erase(next);
  }
  if (here == r.free.begin()) return;
  const auto last = std::prev(here);
  if (last->first + last->second == here->first) {
    last->second += here->second;
    r.free.erase(here);
  }
}

void shrink() {
  Room& r = room();
  const std::lock_guard lock(r.mutex);
  for (const auto& [at, bytes] : r.free) {
    const size_t from = round_up(at, kPage), to = (at + bytes) / kPage * kPage;
    if (to > from) madvise(r.base + from, to - from, MADV_DONTNEED);
  }
}

void shut_memory(void (*on_touch)(bool writes)) {
  static const bool listens = [] {
    struct sigaction action = {};
    action.sa_sigaction = on_fault;
    action.sa_flags = SA_SIGINFO | SA_NODEFER;  // a fiber that fails does not come back from it
    sigemptyset(&action.sa_mask);
    return sigaction(SIGSEGV, &action, &before) == 0;
  }();
  if (!listens) return;
  touched = on_touch;
  shut_to = pthread_self();
  shut = true;
  protect(PROT_NONE);
}

void open_memory() {
  if (!shut) return;
  protect(PROT_READ | PROT_WRITE);
  shut = false;
}

}  // namespace srpo::emulation
