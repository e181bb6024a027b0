#include "cpp/core/queue_stream.h"

#include <cstdint>
#include <cstring>
#include <memory>
#include <string>

#include "cpp/core/error.h"

namespace srpo {
namespace {

// A training step of FLUX.1-dev is some 4,000 pieces of work; more than this is a loop that never
// waits.
constexpr size_t kMostItems = 32768;

/// The error under the op's name, unless it says so itself.
std::exception_ptr named(const char* op, std::exception_ptr error) {
  const auto prefixed = [op](const std::string& message) {
    const std::string prefix = std::string(op) + ": ";
    return message.rfind(prefix, 0) == 0 ? message : prefix + message;
  };
  try {
    std::rethrow_exception(error);
  } catch (const Error& e) {
    return std::make_exception_ptr(Error(e.code(), prefixed(e.what())));
  } catch (const std::bad_alloc&) {
    return std::make_exception_ptr(Error("ERR_OUT_OF_MEMORY", prefixed("host memory is used up")));
  } catch (const std::exception& e) {
    return std::make_exception_ptr(Error("ERR_INTERNAL", prefixed(e.what())));
  } catch (...) {
    return std::make_exception_ptr(Error("ERR_INTERNAL", prefixed("an error of no known kind")));
  }
}

}  // namespace

void QueueStream::push(Item item) {
  {
    const std::lock_guard lock(mutex_);
    if (item.work && items_.size() >= kMostItems)
      throw Error("ERR_QUEUE_FULL", std::string(item.op) + ": expected fewer than " +
                                        std::to_string(kMostItems) + " pending operations on " +
                                        name_of(device_) +
                                        ", got one more; await synchronize() in the loop");
    if (!thread_.joinable()) {
      stopping_ = false;
      thread_ = std::thread([this] { run(); });
    }
    item.owner = std::this_thread::get_id();
    if (item.work) item.place = timeline_.add(item.op);
    items_.push_back(std::move(item));
  }
  ready_.notify_one();
}

void QueueStream::submit(const char* op, std::function<void()> work) {
  push({.op = op, .work = std::move(work), .callback = {}, .owner = {}});
}

void QueueStream::when_done(std::function<void(std::exception_ptr)> done) {
  push({.op = "wait", .work = {}, .callback = std::move(done), .owner = {}});
}

/// Runs a piece that is not to be skipped, or ends a wait; the owner's failure after it.
std::exception_ptr QueueStream::perform(Item& item, std::exception_ptr failure) {
  if (item.callback) {
    item.callback(failure);
    return nullptr;
  }
  if (failure) return failure;
  const int64_t begin = item.place < 0 ? 0 : clock_ns();
  try {
    item.work();
    if (item.place >= 0) timeline_.ran(item.place, begin, clock_ns());
  } catch (...) {
    failure = named(item.op, std::current_exception());
  }
  for (const auto& [pointer, bytes] : scratch_) memory_.release(pointer, bytes);
  scratch_.clear();
  return failure;
}

void QueueStream::run() {
  std::unique_lock lock(mutex_);
  while (true) {
    ready_.wait(lock, [this] { return stopping_ || !items_.empty(); });
    if (stopping_) return;
    {
      Item item = std::move(items_.front());
      items_.pop_front();
      running_ = item.owner;
      const auto found = failures_.find(item.owner);
      const std::exception_ptr before = found == failures_.end() ? nullptr : found->second;
      lock.unlock();
      const std::exception_ptr after = perform(item, before);
      const std::thread::id owner = item.owner;
      item = {};  // what it held is freed before the lock is taken
      lock.lock();
      if (after)
        failures_[owner] = after;
      else
        failures_.erase(owner);
    }
    running_ = {};
    ended_.notify_all();
  }
}

void QueueStream::leave() {
  const std::thread::id owner = std::this_thread::get_id();
  std::deque<Item> dropped, kept;
  {
    std::unique_lock lock(mutex_);
    for (Item& item : items_) (item.owner == owner ? dropped : kept).push_back(std::move(item));
    items_.swap(kept);
    ended_.wait(lock, [&] { return running_ != owner; });
    failures_.erase(owner);
  }
}

void QueueStream::stop() {
  std::deque<Item> dropped;
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    dropped.swap(items_);
    failures_.clear();
  }
  ready_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void QueueStream::copy_to_host(void* host, const void* device, size_t bytes) {
  submit("copy", [=] { std::memcpy(host, device, bytes); });
}

void QueueStream::copy_from_host(void* device, const void* host, size_t bytes) {
  // The caller's memory is free at once: earlier work may still read what lies at `device`.
  const std::shared_ptr<char[]> staged(new char[bytes]);
  std::memcpy(staged.get(), host, bytes);
  submit("copy", [=] { std::memcpy(device, staged.get(), bytes); });
}

void QueueStream::copy(void* to, const void* from, size_t bytes) {
  submit("copy", [=] { std::memmove(to, from, bytes); });
}

void* QueueStream::scratch(size_t bytes, const void* contents) {
  void* const start = memory_.allocate(bytes);
  if (start == nullptr) throw std::bad_alloc();
  scratch_.emplace_back(start, bytes);
  // Garbage that shows: NaN as float32 and as bfloat16.
  if (contents == nullptr)
    std::memset(start, 0xff, bytes);
  else
    std::memcpy(start, contents, bytes);
  return start;
}

void QueueStream::zero(void* device, size_t bytes) {
  submit("zero", [=] { std::memset(device, 0, bytes); });
}

}  // namespace srpo
