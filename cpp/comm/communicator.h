#pragma once
#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "cpp/comm/engine.h"
#include "cpp/core/tensor.h"

namespace srpo::comm {

/// How far a rank's collectives are; written by the thread that runs them, one at a time, read by any.
struct Progress {
  std::atomic<int64_t> submitted = 0;
  std::atomic<int64_t> started = 0;
  std::atomic<int64_t> ended = 0;
  std::atomic<const char*> name = "";  // of the one that started last
  std::atomic<int64_t> bytes = 0;      // of the tensors, as this rank holds them
  std::atomic<int64_t> nanoseconds = 0;
  std::atomic<int64_t> started_at = 0;  // on the steady clock
};

/// An engine bound to a device: checks once, then enqueues on the device's stream, as an op does, or beside it. Where
/// a launch returns at once (cuda), the time counted is that of the launch.
///
/// The engine's calls have one order, that of the calls made here, and each begins when the one before has ended: one
/// beside the stream comes after all that the stream had before it and after those beside it that came earlier; one in
/// the stream's order waits for the last beside it.
class Communicator {
 public:
  Communicator(Device device, std::shared_ptr<Engine> engine)
      : device_(device), engine_(std::move(engine)), progress_(std::make_shared<Progress>()) {}

  int rank() const { return engine_->rank(); }
  int size() const { return engine_->size(); }
  Device device() const { return device_; }
  const Progress& progress() const { return *progress_; }
  /// Since when the collective that runs now has run; 0 if none does.
  double seconds_running() const;
  Engine& engine() { return *engine_; }

  /// float32, bfloat16, int32
  void all_reduce(const TensorView& t, Reduction reduction);
  /// float32, bfloat16, int32
  void reduce_scatter(const TensorView& input, const TensorView& output);
  void all_gather(const TensorView& input, const TensorView& output);
  void broadcast(const TensorView& t, int64_t root);
  void barrier();

  /// The same beside the stream. The tensors may go before it has ended.
  std::shared_ptr<Aside> reduce_scatter_aside(const Tensor& input, const Tensor& output);
  std::shared_ptr<Aside> all_gather_aside(const Tensor& input, const Tensor& output);

 private:
  /// Checked, not yet enqueued.
  struct Call {
    const char* op;
    int64_t bytes;
    std::function<void(Engine&, Stream&)> run;
  };
  Call reduce_scatter_of(const TensorView& input, const TensorView& output) const;
  Call all_gather_of(const TensorView& input, const TensorView& output) const;
  std::function<void(Stream&)> work_of(Call call);
  void submit(Call call);
  std::shared_ptr<Aside> submit_aside(Call call, std::vector<Tensor> held);
  void check(const char* op, const char* argument, const TensorView& t) const;

  Device device_;
  std::shared_ptr<Engine> engine_;
  std::shared_ptr<Progress> progress_;
};

}  // namespace srpo::comm
