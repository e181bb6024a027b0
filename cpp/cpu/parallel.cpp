#include "cpp/cpu/parallel.h"

#include <immintrin.h>
#include <sched.h>

#include <atomic>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

namespace srpo::cpu {
namespace {

int cores() {
  cpu_set_t set;
  return sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
}

/// A fixed set of threads that take the blocks of one job at a time. A waiting thread spins for some
/// microseconds before it sleeps: the next op of a model usually comes sooner than that.
class Pool {
 public:
  ~Pool() { stop(); }

  void run(int64_t blocks, BlockFunction f) {
    const std::lock_guard one_job_at_a_time(jobs_);
    start();
    function_ = &f;
    failure_ = nullptr;
    blocks_ = blocks;
    next_.store(0, std::memory_order_relaxed);
    busy_.store(static_cast<int>(workers_.size()), std::memory_order_relaxed);
    {
      const std::lock_guard lock(mutex_);
      generation_.fetch_add(1, std::memory_order_release);
    }
    wake_.notify_all();
    take_blocks();
    for (int spins = 0; busy_.load(std::memory_order_acquire) > 0; ++spins) {
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
      stopping_ = true;
      generation_.fetch_add(1, std::memory_order_release);
    }
    wake_.notify_all();
    for (std::thread& worker : workers_) worker.join();
    workers_.clear();
    stopping_ = false;
  }

  std::mutex jobs_;

 private:
  static constexpr int kSpins = 4000;  // about 50 us

  void start() {
    if (!workers_.empty()) return;
    const uint64_t seen = generation_.load();
    for (int i = 1; i < size(); ++i) workers_.emplace_back([this, seen] { work(seen); });
  }

  void work(uint64_t seen) {
    while (true) {
      for (int spins = 0; generation_.load(std::memory_order_acquire) == seen && spins < kSpins;
           ++spins)
        _mm_pause();
      if (generation_.load(std::memory_order_acquire) == seen) {
        std::unique_lock lock(mutex_);
        wake_.wait(lock, [&] { return generation_.load(std::memory_order_relaxed) != seen; });
      }
      seen = generation_.load(std::memory_order_acquire);
      if (stopping_) return;
      take_blocks();
      busy_.fetch_sub(1, std::memory_order_acq_rel);
    }
  }

  void take_blocks() {
    while (true) {
      const int64_t block = next_.fetch_add(1, std::memory_order_relaxed);
      if (block >= blocks_) return;
      try {
        (*function_)(block);
      } catch (...) {
        const std::lock_guard lock(mutex_);
        failure_ = std::current_exception();
        next_.store(blocks_, std::memory_order_relaxed);
      }
    }
  }

  int threads_ = 0;
  std::vector<std::thread> workers_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::atomic<uint64_t> generation_{0};
  std::atomic<int64_t> next_{0};
  std::atomic<int> busy_{0};
  bool stopping_ = false;
  int64_t blocks_ = 0;
  const BlockFunction* function_ = nullptr;
  std::exception_ptr failure_;
};

Pool& pool() {
  static Pool one;
  return one;
}

}  // namespace

void parallel_blocks(int64_t blocks, BlockFunction f) {
  if (blocks <= 1 || pool().size() == 1) {
    for (int64_t block = 0; block < blocks; ++block) f(block);
    return;
  }
  pool().run(blocks, f);
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
