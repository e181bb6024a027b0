#include "cpp/core/queue_stream.h"

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
    items_.push_back(std::move(item));
  }
  ready_.notify_one();
}

void QueueStream::submit(const char* op, std::function<void()> work) {
  push({.op = op, .work = std::move(work), .callback = {}});
}

void QueueStream::when_done(std::function<void(std::exception_ptr)> done) {
  push({.op = "wait", .work = {}, .callback = std::move(done)});
}

void QueueStream::run() {
  std::exception_ptr failure;
  while (true) {
    Item item;
    {
      std::unique_lock lock(mutex_);
      ready_.wait(lock, [this] { return stopping_ || !items_.empty(); });
      if (stopping_) return;
      item = std::move(items_.front());
      items_.pop_front();
    }
    if (item.callback) {
      item.callback(failure);
      failure = nullptr;
    } else if (!failure) {
      try {
        item.work();
      } catch (...) {
        failure = named(item.op, std::current_exception());
      }
    }
  }
}

void QueueStream::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    items_.clear();
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

void QueueStream::zero(void* device, size_t bytes) {
  submit("zero", [=] { std::memset(device, 0, bytes); });
}

}  // namespace srpo
