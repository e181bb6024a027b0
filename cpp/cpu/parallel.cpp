#include "cpp/cpu/parallel.h"

#include <immintrin.h>
#include <sched.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

namespace srpo::cpu {
namespace {

int cores() {
  cpu_set_t set;
  return sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
}

/// A fixed set of threads that take the blocks of one job at a time. A job ends when its blocks have
/// ended, whether or not every thread has heard of it: one that the system kept waiting delays nobody.
/// A thread without work spins for some microseconds before it sleeps, since the next op of a model
/// usually comes sooner than that.
///
/// `ticket_` is the number of the job and how many of its blocks are not yet taken, in one word: a
/// thread that takes a block of a job by compare-and-swap knows that the job is still that one, and
/// the job's fields stay as they are until that block is counted as done.
class Pool {
 public:
  void run(int64_t blocks, const BlockFunction& f) {
    const std::lock_guard one_job_at_a_time(jobs_);
    start();
    function_ = &f;
    blocks_ = blocks;
    failure_ = nullptr;
    failed_.store(false, std::memory_order_relaxed);
    done_.store(0, std::memory_order_relaxed);
    ++job_;
    ticket_.store(job_ << kCountBits | static_cast<uint64_t>(blocks));  // publishes the above
    if (sleepers_.load() > 0) {
      {
        const std::lock_guard lock(mutex_);
      }  // one that goes to sleep now is asleep after this
      wake_.notify_all();
    }
    take_blocks();
    for (int spins = 0; done_.load(std::memory_order_acquire) < blocks; ++spins) {
      if (spins < kSpins)
        _mm_pause();
      else
        std::this_thread::yield();
    }
    if (failure_) std::rethrow_exception(failure_);
  }

  void resize(int threads) {
    const std::lock_guard one_job_at_a_time(jobs_);
    stop();
    threads_ = threads;
  }

  int size() {
    if (threads_ == 0) threads_ = cores();
    return threads_;
  }

  void stop() {
    {
      const std::lock_guard lock(mutex_);
      stopping_.store(true);
    }
    wake_.notify_all();
    for (std::thread& worker : workers_) worker.join();
    workers_.clear();
    stopping_.store(false);
  }

  static constexpr int kCountBits = 32;

 private:
  static constexpr int kSpins = 4000;  // about 50 us
  static constexpr uint64_t kCountMask = (uint64_t{1} << kCountBits) - 1;

  void start() {
    if (!workers_.empty()) return;
    try {
      for (int i = 1; i < size(); ++i) workers_.emplace_back([this] { work(); });
    } catch (const std::system_error&) {
      // A limit on threads: those that are there, and the caller, do the work.
    }
  }

  bool something_to_do() const { return (ticket_.load() & kCountMask) != 0 || stopping_.load(); }

  void work() {
    while (true) {
      for (int spins = 0; !something_to_do() && spins < kSpins; ++spins) _mm_pause();
      if (!something_to_do()) {
        std::unique_lock lock(mutex_);
        sleepers_.fetch_add(1);
        wake_.wait(lock, [&] { return something_to_do(); });
        sleepers_.fetch_sub(1);
      }
      if (stopping_.load()) return;
      take_blocks();
    }
  }

  void take_blocks() {
    uint64_t ticket = ticket_.load(std::memory_order_acquire);
    while ((ticket & kCountMask) != 0) {
      if (!ticket_.compare_exchange_weak(ticket, ticket - 1)) continue;
      try {
        if (!failed_.load(std::memory_order_relaxed))
          (*function_)(blocks_ - static_cast<int64_t>(ticket & kCountMask));
      } catch (...) {
        const std::lock_guard lock(mutex_);
        failure_ = std::current_exception();
        failed_.store(true, std::memory_order_relaxed);
      }
      done_.fetch_add(1, std::memory_order_release);
      ticket = ticket_.load(std::memory_order_acquire);
    }
  }

  std::mutex jobs_;
  std::atomic<int> threads_{0};
  std::vector<std::thread> workers_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::atomic<int> sleepers_{0};
  std::atomic<bool> stopping_{false};

  // The job.
  uint64_t job_ = 0;
  int64_t blocks_ = 0;
  const BlockFunction* function_ = nullptr;
  std::exception_ptr failure_;
  std::atomic<bool> failed_{false};
  alignas(64) std::atomic<uint64_t> ticket_{0};
  alignas(64) std::atomic<int64_t> done_{0};
};

Pool& pool() {
  // Never destroyed: process.exit() runs static destructors while the stream's thread computes.
  static Pool& one = *new Pool;
  return one;
}

}  // namespace

void parallel_blocks(int64_t blocks, BlockFunction f) {
  if (blocks <= 1 || pool().size() == 1) {
    for (int64_t block = 0; block < blocks; ++block) f(block);
    return;
  }
  constexpr int64_t kMost = (int64_t{1} << Pool::kCountBits) - 1;
  for (int64_t first = 0; first < blocks; first += kMost) {
    const auto offset = [&](int64_t block) { f(first + block); };
    pool().run(std::min(kMost, blocks - first), offset);
  }
}

void set_threads(int threads) {
  pool().resize(threads);
}
int threads() {
  return pool().size();
}
void stop_threads() {
  pool().resize(pool().size());
}

}  // namespace srpo::cpu
