#pragma once
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>

#include "cpp/core/device.h"
#include "cpp/core/error.h"
#include "cpp/core/timeline.h"

namespace srpo {

/// The order of a device's work. On cpu and emulated a thread runs what is enqueued, one piece after
/// the other; on cuda the work is a launch, made at once.
///
/// After a piece failed, later pieces are skipped until the wait that reports it; that wait gets the
/// error once, then the stream is usable again. JavaScript environments (the main one and workers,
/// each on a thread of its own) share the order but not their failures.
class Stream {
 public:
  virtual ~Stream() = default;
  virtual Device device() const = 0;

  /// Takes work whose name (a literal) a failure is reported under. Throws ERR_QUEUE_FULL.
  virtual void submit(const char* op, std::function<void()> work) = 0;
  /// Calls `done` (on any thread) when all earlier work has ended; with its error, if one failed.
  virtual void when_done(std::function<void(std::exception_ptr)> done) = 0;

  /// The calling thread's JavaScript environment ends: what it enqueued and has not begun is dropped,
  /// what has begun is waited for. Work of other environments is left alone.
  virtual void leave() {}

  virtual void copy_to_host(void* host, const void* device, size_t bytes) = 0;
  virtual void copy_from_host(void* device, const void* host, size_t bytes) = 0;
  virtual void copy(void* to, const void* from, size_t bytes) = 0;
  virtual void zero(void* device, size_t bytes) = 0;

  /// Memory for the piece of work that runs now, free again when it has ended; `contents`, if given,
  /// are copied in. What else lies there is garbage.
  virtual void* scratch(size_t bytes, const void* contents) = 0;

  /// A word of the device, 0 at first, for a kernel of the piece that runs now: it sets it to anything
  /// else where it will not do with what it found.
  virtual int64_t* complaint() {
    const int64_t none = 0;
    return static_cast<int64_t*>(scratch(sizeof none, &none));
  }
  /// Calls refuse(word), which throws, if there is a complaint: here at once, since the kernels have run;
  /// on cuda at the wait that follows, which rejects under the op's name.
  virtual void heed(int64_t* word, std::function<void(int64_t)> refuse) {
    if (*word != 0) refuse(*word);
  }

  /// The CUDA stream, on cuda, for whoever enqueues there what he likes.
  virtual void* native() { return nullptr; }
  /// The same for a kernel, and whether it may begin while what is before it still runs: that is a kernel too,
  /// and nobody takes the time of each.
  struct KernelPlace {
    void* native;
    bool overlaps;
  };
  virtual KernelPlace kernel_place() { return {native(), false}; }

  /// Takes the times of what is submitted from now on, until profile_end; call both while idle.
  /// `timer` says which of a device's ways, "auto" the best that there is.
  virtual void profile_begin(const std::string& timer) {
    require_no_profile();
    if (timer != "auto" && timer != "clock")
      throw Error("ERR_CONFIG", "profile: timer: expected auto or clock on " + name_of(device()) +
                                    ", got " + timer);
    begun_ = clock_ns();
    timeline_.start();
  }
  virtual Profile profile_end() {
    return {.origin = begun_, .pieces = timeline_.stop(), .kernels = {}, .timer = "clock"};
  }
  /// Pieces submitted since profile_begin.
  int64_t profile_size() const { return timeline_.size(); }
  /// A stage of the work that is submitted from now on, for tools that watch from outside (NVTX).
  virtual void range_push(const char* name) { static_cast<void>(name); }
  virtual void range_pop() {}

 protected:
  void require_no_profile() const {
    if (timeline_.on())
      throw Error("ERR_CONFIG",
                  "profile: expected one at a time on " + name_of(device()) + ", got a second");
  }

  Timeline timeline_;
  int64_t begun_ = 0;  // clock_ns() at profile_begin
};

}  // namespace srpo
