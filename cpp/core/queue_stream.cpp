#include "cpp/core/queue_stream.h"

#include <chrono>
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

/// Who enqueued the piece that this thread runs: what it enqueues itself (the check of memory that it frees) is
/// that one's too.
thread_local std::thread::id acting_for;

std::thread::id owner_here() {
  return acting_for == std::thread::id() ? std::this_thread::get_id() : acting_for;
}

}  // namespace

void QueueStream::push(Item item) {
  {
    const std::lock_guard lock(mutex_);
    if (!item.callback && items_.size() >= kMostItems)
      throw Error("ERR_QUEUE_FULL", std::string(item.op) + ": expected fewer than " +
                                        std::to_string(kMostItems) + " pending operations on " +
                                        name_of(device_) +
                                        ", got one more; await synchronize() in the loop");
    if (!thread_.joinable()) {
      stopping_ = false;
      thread_ = std::thread([this] { run(); });
    }
    item.owner = owner_here();
    if (item.work) item.place = timeline_.add(item.op);
    // Beside: skipped after a failure that is not reported yet, even if it begins after that.
    const auto failed = item.ended ? failures_.find(item.owner) : failures_.end();
    if (failed != failures_.end()) item.failure = failed->second;
    items_.push_back(std::move(item));
  }
  ready_.notify_one();
}

void QueueStream::submit(const char* op, std::function<void()> work) {
  Item item{.op = op};
  item.work = std::move(work);
  push(std::move(item));
}

void QueueStream::when_done(std::function<void(std::exception_ptr)> done) {
  Item item{.op = "wait"};
  item.callback = [this, owner = owner_here(), done = std::move(done)](std::exception_ptr failure) {
    const std::exception_ptr aside = take_failure(owner);
    done(failure ? failure : aside);
  };
  push(std::move(item));
}

/// A piece in the queue beside, and what holds its memory.
class QueueStream::Beside : public Aside {
 public:
  Beside(QueueStream& stream, QueueStream& other, Future ended, std::shared_ptr<void> held)
      : stream_(stream), other_(other), ended_(std::move(ended)), held_(std::move(held)) {}
  ~Beside() override {
    constexpr auto kNow = std::chrono::seconds(0);
    if (!held_ || ended_.wait_for(kNow) == std::future_status::ready) return;
    try {
      Item item{.op = "aside"};
      item.work = [held = std::move(held_)] {};
      other_.push(std::move(item));  // behind it
    } catch (const Error&) {
      ended_.wait();  // a full queue
    }
  }
  void join() override {
    Item item{.op = "wait"};
    item.work = [ended = ended_] {
      if (const std::exception_ptr failure = outcome(ended)) std::rethrow_exception(failure);
    };
    item.always = true;
    stream_.push(std::move(item));
    held_.reset();
  }

 private:
  QueueStream& stream_;
  QueueStream& other_;
  const Future ended_;
  std::shared_ptr<void> held_;
};

std::exception_ptr QueueStream::outcome(const Future& future) {
  try {
    return future.get();
  } catch (const std::future_error&) {
    return std::make_exception_ptr(
        Error("ERR_INTERNAL", "a piece of work was dropped with its environment"));
  }
}

QueueStream& QueueStream::beside() {
  const std::lock_guard lock(mutex_);
  if (!beside_) beside_ = std::make_unique<QueueStream>(device_, memory_);
  return *beside_;
}

/// What failed beside, once.
std::exception_ptr QueueStream::take_failure(std::thread::id owner) {
  std::unique_lock lock(mutex_);
  QueueStream* const other = beside_.get();
  lock.unlock();
  if (other == nullptr) return nullptr;
  const std::lock_guard theirs(other->mutex_);
  const auto found = other->failures_.find(owner);
  if (found == other->failures_.end()) return nullptr;
  const std::exception_ptr failure = found->second;
  other->failures_.erase(found);
  return failure;
}

std::shared_ptr<Aside> QueueStream::submit_aside(const char* op, std::function<void(Stream&)> work,
                                                 std::shared_ptr<void> held) {
  QueueStream& other = beside();
  Item here{.op = op}, there{.op = op};
  here.reached = std::make_shared<Promise>();
  there.from = here.reached->get_future().share();
  there.ended = std::make_shared<Promise>();
  const Future ended = there.ended->get_future().share();
  there.work = [&other, work = std::move(work)] { work(other); };
  {
    // In one order in both queues: else each could wait for what the other one runs later.
    const std::lock_guard lock(aside_mutex_);
    other.push(std::move(there));
    push(std::move(here));
  }
  return std::make_shared<Beside>(*this, other, ended, std::move(held));
}

/// Runs a piece that is not to be skipped, ends a wait, or tells how far the stream is; the owner's failure after it.
std::exception_ptr QueueStream::perform(Item& item, std::exception_ptr failure) {
  if (item.callback) {
    item.callback(failure);
    return nullptr;
  }
  if (item.reached) {
    item.reached->set_value(failure);
    return failure;
  }
  if (failure && !item.always) return failure;
  const int64_t begin = item.place < 0 ? 0 : clock_ns();
  try {
    item.work();
    if (item.place >= 0) timeline_.ran(item.place, begin, clock_ns());
  } catch (...) {
    // What runs always tells of another piece, whose failure has its name.
    if (!item.always)
      failure = named(item.op, std::current_exception());
    else if (!failure)
      failure = std::current_exception();
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
      running_ = acting_for = item.owner;
      const auto found = failures_.find(item.owner);
      const std::exception_ptr before = item.failure               ? item.failure
                                        : found == failures_.end() ? nullptr
                                                                   : found->second;
      lock.unlock();
      // A piece beside another stream: what that one has come to there. Its failure is not this one's.
      const std::exception_ptr elsewhere =
          item.from.valid() && !before ? outcome(item.from) : nullptr;
      const std::exception_ptr after = elsewhere ? nullptr : perform(item, before);
      const std::thread::id owner = item.owner;
      const std::shared_ptr<Promise> ended = std::move(item.ended);
      item = {};  // what it held is freed before the lock is taken
      lock.lock();
      if (ended) {
        if (after && !before) {
          failures_[owner] = after;
          // The same for what stands in the queue; what comes before this is reported is marked by push.
          for (Item& later : items_)
            if (later.owner == owner) later.failure = after;
        }
        ended->set_value(elsewhere ? elsewhere : after);
      } else if (after) {
        failures_[owner] = after;
      } else {
        failures_.erase(owner);
      }
    }
    running_ = acting_for = {};
    ended_.notify_all();
  }
}

void QueueStream::leave() {
  const std::thread::id owner = std::this_thread::get_id();
  std::deque<Item> dropped, kept;
  QueueStream* other = nullptr;
  {
    const std::lock_guard lock(mutex_);
    for (Item& item : items_) {
      const bool is_own = item.owner == owner;
      // Memory that a join let go is used by what stands behind it, whoever that is.
      if (is_own && item.always) item.owner = {};
      (is_own && !item.always ? dropped : kept).push_back(std::move(item));
    }
    items_.swap(kept);
    other = beside_.get();
  }
  if (other != nullptr) {
    // Either thread may wait for what the other one was to run.
    dropped.clear();
    other->leave();
  }
  std::unique_lock lock(mutex_);
  ended_.wait(lock, [&] { return running_ != owner; });
  failures_.erase(owner);
  // Then what was dropped is freed: what ran may have used it.
  lock.unlock();
}

void QueueStream::stop() {
  std::deque<Item> dropped;
  QueueStream* other = nullptr;
  {
    const std::lock_guard lock(mutex_);
    dropped.swap(items_);
    other = beside_.get();
  }
  dropped.clear();
  if (other != nullptr) other->stop();
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
