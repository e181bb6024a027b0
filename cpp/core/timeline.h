// When the pieces of a stream's work began and ended, while a profile is taken.
#pragma once
#include <atomic>
#include <chrono>
#include <cstdint>
#include <mutex>
#include <string>
#include <vector>

namespace srpo {

/// Nanoseconds of the clock that a timeline is in; node's process.hrtime is the same.
inline int64_t clock_ns() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

/// A row of the op table that ran, a copy, a fill. Both times 0: it has not run.
struct TimedPiece {
  const char* op = nullptr;  // a literal
  int64_t begin = 0, end = 0;
};

/// A kernel or copy that a GPU ran, and the piece that launched it; -1 if that is not known.
struct TimedKernel {
  std::string name;
  int64_t piece = -1;
  int64_t begin = 0, end = 0;
  int64_t grid[3] = {0, 0, 0}, block[3] = {0, 0, 0};
  int64_t registers = 0, shared_bytes = 0;  // a thread, a block
  int64_t bytes = 0;                        // copied
};

/// What a profile of a stream took.
struct Profile {
  int64_t origin = 0;  // clock_ns() when it began
  std::vector<TimedPiece> pieces;
  std::vector<TimedKernel> kernels;
  std::string timer;  // what told the times
};

/// The pieces in the order in which they were submitted. Off it costs a stream one load a piece.
class Timeline {
 public:
  bool on() const { return on_.load(std::memory_order_relaxed); }

  void start() {
    const std::lock_guard lock(mutex_);
    pieces_.clear();
    on_.store(true, std::memory_order_relaxed);
  }

  /// The place of a piece that is submitted now; -1 while no profile is taken.
  int64_t add(const char* op) {
    if (!on()) return -1;
    const std::lock_guard lock(mutex_);
    pieces_.push_back({.op = op});
    return static_cast<int64_t>(pieces_.size()) - 1;
  }

  void ran(int64_t place, int64_t begin, int64_t end) {
    const std::lock_guard lock(mutex_);
    if (place < 0 || place >= static_cast<int64_t>(pieces_.size()))
      return;  // of an earlier profile
    pieces_[place].begin = begin;
    pieces_[place].end = end;
  }

  int64_t size() const {
    const std::lock_guard lock(mutex_);
    return static_cast<int64_t>(pieces_.size());
  }

  std::vector<TimedPiece> stop() {
    const std::lock_guard lock(mutex_);
    on_.store(false, std::memory_order_relaxed);
    return std::move(pieces_);
  }

 private:
  std::atomic<bool> on_ = false;
  mutable std::mutex mutex_;
  std::vector<TimedPiece> pieces_;
};

}  // namespace srpo
