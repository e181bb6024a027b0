#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <thread>

#include "cuda_runtime.h"

namespace fake {

Machine machine;
size_t memory = size_t{1} << 30;

namespace {

std::mutex mutex;
std::condition_variable changed;
std::map<void*, size_t> blocks;  // of the card
size_t used = 0;
Waits counted;
bool held = false;
cudaError_t sticky = cudaSuccess;
std::thread::id watcher;

void count(int Waits::* what) {
  if (std::this_thread::get_id() == watcher) ++(counted.*what);
}

cudaError_t allocate(void** pointer, size_t bytes) {
  const std::lock_guard lock(mutex);
  if (sticky != cudaSuccess) return sticky;
  if (used + bytes > memory) return cudaErrorMemoryAllocation;
  *pointer = std::aligned_alloc(256, (bytes + 255) / 256 * 256);
  std::memset(*pointer, 0xee, bytes);
  blocks[*pointer] = bytes;
  used += bytes;
  return cudaSuccess;
}

/// Bytes of a block that is free from here on; 0 for what is none.
size_t forget(void* pointer) {
  const std::lock_guard lock(mutex);
  const auto found = blocks.find(pointer);
  if (found == blocks.end()) return 0;
  const size_t bytes = found->second;
  used -= bytes;
  blocks.erase(found);
  return bytes;
}

/// Its bytes show whoever still reads them.
void spoil(void* pointer, size_t bytes) {
  std::memset(pointer, 0xdd, bytes);
  std::free(pointer);
}

}  // namespace

void watch() {
  const std::lock_guard lock(mutex);
  counted = {};
  watcher = std::this_thread::get_id();
}
Waits waits() {
  const std::lock_guard lock(mutex);
  return counted;
}
void hold(bool it) {
  const std::lock_guard lock(mutex);
  held = it;
  changed.notify_all();
}

}  // namespace fake

using namespace fake;

struct FakeStream {
  std::deque<std::function<void()>> work;
  /// If a kernel was enqueued last: what the next one does before that has run.
  struct Next {
    bool begun = false;  // it has: too late
    std::function<void()> set_up;
  };
  std::shared_ptr<Next> next;
  bool busy = false, held = false;
  const unsigned flags;
  const int priority;
  std::thread thread;

  FakeStream(unsigned flags, int priority)
      : flags(flags), priority(priority), thread([this] { run(); }) {
    thread.detach();
  }
  void push(std::function<void()> piece) {
    const std::lock_guard lock(mutex);
    next.reset();
    work.push_back(std::move(piece));
    changed.notify_all();
  }
  void run() {
    std::unique_lock lock(mutex);
    for (unsigned turn = 0;; ++turn) {
      changed.wait(lock, [this] { return !fake::held && !held && !work.empty(); });
      const auto piece = std::move(work.front());
      work.pop_front();
      busy = true;
      const bool alive = sticky == cudaSuccess;
      lock.unlock();
      if (turn % 7 == 0) std::this_thread::sleep_for(std::chrono::microseconds(200));
      if (alive) piece();
      lock.lock();
      busy = false;
      changed.notify_all();
    }
  }
};
/// A record of an event: who waits for it waits for that one, whatever is recorded later.
struct Record {
  bool reached = false;
  std::chrono::steady_clock::time_point at;
};
struct FakeEvent {
  std::shared_ptr<Record> last;
  bool reached() const { return !last || last->reached; }
};
struct FakePool {};

void fake::hold(cudaStream_t stream, bool it) {
  const std::lock_guard lock(mutex);
  stream->held = it;
  changed.notify_all();
}
int fake::priority_of(cudaStream_t stream) {
  return stream->priority;
}
unsigned fake::flags_of(cudaStream_t stream) {
  return stream->flags;
}
void fake::launch(cudaStream_t stream, std::function<void()> kernel) {
  stream->push(std::move(kernel));
}
void fake::launch_fault(cudaStream_t stream) {
  stream->push([] {
    const std::lock_guard lock(mutex);
    sticky = cudaErrorIllegalAddress;
    changed.notify_all();
  });
}

namespace {
std::vector<cudaLaunchAttribute> attributes;
}

std::vector<cudaLaunchAttribute> fake::last_attributes() {
  return attributes;
}

cudaError_t cudaFuncSetAttribute(const void*, cudaFuncAttribute, int) {
  return cudaSuccess;
}
cudaError_t cudaLaunchKernelExC(const cudaLaunchConfig_t* how, const void* kernel, void**) {
  const Kernel it = *static_cast<const Kernel*>(kernel);
  attributes.assign(how->attrs, how->attrs + how->numAttrs);
  bool early = false;
  for (const cudaLaunchAttribute& attribute : attributes)
    early = early || attribute.id == cudaLaunchAttributeProgrammaticStreamSerialization;
  bool is_set_up = false;
  if (early) {
    const std::lock_guard lock(mutex);
    const auto& before = how->stream->next;
    if (before && !before->begun) {
      before->set_up = it.set_up;
      is_set_up = true;
    }
  }
  const auto next = std::make_shared<FakeStream::Next>();
  how->stream->push([it, next, is_set_up] {
    if (!is_set_up) it.set_up();
    {
      const std::lock_guard lock(mutex);
      next->begun = true;
    }
    if (next->set_up) next->set_up();
    it.run();
  });
  const std::lock_guard lock(mutex);
  how->stream->next = next;
  return cudaSuccess;
}

const char* cudaGetErrorName(cudaError_t e) {
  return e == cudaErrorIllegalAddress ? "cudaErrorIllegalAddress" : "cudaError";
}
const char* cudaGetErrorString(cudaError_t e) {
  return e == cudaErrorIllegalAddress ? "an illegal memory access was encountered" : "an error";
}
cudaError_t cudaGetLastError() {
  return cudaSuccess;
}
cudaError_t cudaDriverGetVersion(int* version) {
  *version = machine.driver;
  return cudaSuccess;
}
cudaError_t cudaGetDeviceCount(int* count) {
  if (machine.driver < CUDART_VERSION) return cudaErrorInsufficientDriver;
  if (machine.count == 0) return cudaErrorNoDevice;
  *count = machine.count;
  return cudaSuccess;
}
cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int index) {
  *properties = machine.cards[index];
  return cudaSuccess;
}
cudaError_t cudaSetDevice(int) {
  const std::lock_guard lock(mutex);
  return sticky;
}
cudaError_t cudaStreamCreateWithPriority(cudaStream_t* stream, unsigned flags, int priority) {
  *stream = new FakeStream(flags, priority);
  return cudaSuccess;
}
cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned flags) {
  return cudaStreamCreateWithPriority(stream, flags, 0);
}
cudaError_t cudaDeviceGetStreamPriorityRange(int* least, int* greatest) {
  *least = 0;
  *greatest = -5;
  return cudaSuccess;
}
cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned) {
  std::shared_ptr<Record> record;
  {
    const std::lock_guard lock(mutex);
    if (sticky != cudaSuccess) return sticky;
    record = event->last;
  }
  stream->push([record] {
    std::unique_lock lock(mutex);
    changed.wait(lock, [&] { return sticky != cudaSuccess || !record || record->reached; });
  });
  return cudaSuccess;
}
cudaError_t cudaStreamQuery(cudaStream_t stream) {
  const std::lock_guard lock(mutex);
  if (sticky != cudaSuccess) return sticky;
  return stream->work.empty() && !stream->busy ? cudaSuccess : cudaErrorNotReady;
}
cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  std::unique_lock lock(mutex);
  count(&Waits::synchronized);
  changed.wait(lock,
               [=] { return sticky != cudaSuccess || (stream->work.empty() && !stream->busy); });
  return sticky;
}
cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned) {
  *event = new FakeEvent;
  return cudaSuccess;
}
cudaError_t cudaEventCreate(cudaEvent_t* event) {
  return cudaEventCreateWithFlags(event, 0);
}
cudaError_t cudaEventDestroy(cudaEvent_t event) {
  delete event;
  return cudaSuccess;
}
cudaError_t cudaEventElapsedTime(float* ms, cudaEvent_t from, cudaEvent_t to) {
  const std::lock_guard lock(mutex);
  if (!from->last || !to->last) return cudaErrorInvalidValue;
  if (!from->reached() || !to->reached()) return cudaErrorNotReady;
  *ms = std::chrono::duration<float, std::milli>(to->last->at - from->last->at).count();
  return cudaSuccess;
}
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  const auto record = std::make_shared<Record>();
  {
    const std::lock_guard lock(mutex);
    if (sticky != cudaSuccess) return sticky;
    event->last = record;
  }
  stream->push([record] {
    const std::lock_guard lock(mutex);
    record->reached = true;
    record->at = std::chrono::steady_clock::now();
    changed.notify_all();
  });
  return cudaSuccess;
}
cudaError_t cudaEventQuery(cudaEvent_t event) {
  const std::lock_guard lock(mutex);
  if (sticky != cudaSuccess) return sticky;
  return event->reached() ? cudaSuccess : cudaErrorNotReady;
}
cudaError_t cudaEventSynchronize(cudaEvent_t event) {
  std::unique_lock lock(mutex);
  count(&Waits::synchronized);
  changed.wait(
      lock, [record = event->last] { return sticky != cudaSuccess || !record || record->reached; });
  return sticky;
}
cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t bytes, cudaMemcpyKind,
                            cudaStream_t stream) {
  {
    const std::lock_guard lock(mutex);
    if (sticky != cudaSuccess) return sticky;
  }
  stream->push([=] { std::memmove(to, from, bytes); });
  return cudaSuccess;
}
cudaError_t cudaMemsetAsync(void* to, int value, size_t bytes, cudaStream_t stream) {
  stream->push([=] { std::memset(to, value, bytes); });
  return cudaSuccess;
}
cudaError_t cudaHostAlloc(void** pointer, size_t bytes, unsigned) {
  const std::lock_guard lock(mutex);
  count(&Waits::pinned);
  *pointer = std::malloc(bytes);
  return sticky;
}
cudaError_t cudaHostGetDevicePointer(void** mapped, void* memory, unsigned) {
  *mapped = memory;
  return cudaSuccess;
}
cudaError_t cudaMalloc(void** pointer, size_t bytes) {
  {
    const std::lock_guard lock(mutex);
    count(&Waits::memory);
  }
  return allocate(pointer, bytes);
}
cudaError_t cudaFree(void* pointer) {
  {
    const std::lock_guard lock(mutex);
    count(&Waits::memory);
  }
  const size_t bytes = forget(pointer);
  if (bytes > 0) spoil(pointer, bytes);
  return bytes > 0 ? cudaSuccess : cudaErrorInvalidValue;
}
cudaError_t cudaMallocAsync(void** pointer, size_t bytes, cudaStream_t) {
  return allocate(pointer, bytes);
}
cudaError_t cudaFreeAsync(void* pointer, cudaStream_t stream) {
  // What is allocated later stands behind it: it counts as free at once.
  const size_t bytes = forget(pointer);
  if (bytes > 0) stream->push([=] { spoil(pointer, bytes); });
  return bytes > 0 ? cudaSuccess : cudaErrorInvalidValue;
}
cudaError_t cudaMemGetInfo(size_t* free, size_t* total) {
  const std::lock_guard lock(mutex);
  *free = memory - used;
  *total = memory;
  return cudaSuccess;
}
cudaError_t cudaDeviceGetDefaultMemPool(cudaMemPool_t* pool, int) {
  static FakePool one;
  *pool = &one;
  return cudaSuccess;
}
cudaError_t cudaMemPoolSetAttribute(cudaMemPool_t, cudaMemPoolAttr, void*) {
  return cudaSuccess;
}
cudaError_t cudaMemPoolGetAttribute(cudaMemPool_t, cudaMemPoolAttr, void* value) {
  *static_cast<uint64_t*>(value) = 0;
  return cudaSuccess;
}
cudaError_t cudaMemPoolTrimTo(cudaMemPool_t, size_t) {
  return cudaSuccess;
}
