#include "cpp/comm/communicator.h"

#include <chrono>
#include <functional>
#include <utility>

#include "cpp/core/check.h"
#include "cpp/core/runtime.h"

namespace srpo::comm {
namespace {

/// In nanoseconds.
int64_t now() {
  const auto since = std::chrono::steady_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::nanoseconds>(since).count();
}

void require_reducible(const char* op, const char* argument, const TensorView& t) {
  if (t.dtype != DType::kFloat32 && t.dtype != DType::kBFloat16 && t.dtype != DType::kInt32)
    refuse("ERR_DTYPE", op, argument, "float32, bfloat16 or int32", name_of(t.dtype));
}

/// ERR_SHAPE unless `whole` has `size` times the elements of `part`.
void require_parts(const char* op, const char* argument, const TensorView& whole,
                   const TensorView& part, int size) {
  if (whole.numel() != part.numel() * size)
    refuse("ERR_SHAPE", op, argument,
           std::to_string(size) + " * " + std::to_string(part.numel()) + " elements",
           std::to_string(whole.numel()));
}

bool overlap(const TensorView& a, const TensorView& b) {
  const auto at = [](const TensorView& t) { return reinterpret_cast<uintptr_t>(t.pointer); };
  return at(a) < at(b) + b.bytes() && at(b) < at(a) + a.bytes();
}

}  // namespace

double Communicator::seconds_running() const {
  if (progress_->started == progress_->ended) return 0;
  return static_cast<double>(now() - progress_->started_at) * 1e-9;
}

void Communicator::check(const char* op, const char* argument, const TensorView& t) const {
  require_not_empty(op, argument, t);
  if (!(t.device == device_))
    refuse("ERR_DEVICE", op, argument, name_of(device_), name_of(t.device));
}

void Communicator::submit(const char* op, int64_t bytes,
                          std::function<void(Engine&, Stream&)> call) {
  Stream& stream = stream_of(device_);
  ++progress_->submitted;
  stream.submit(
      op, [op, bytes, call = std::move(call), engine = engine_, progress = progress_, &stream] {
        const int64_t began = now();
        progress->name = op;
        progress->started_at = began;
        ++progress->started;
        // What failed has not ended: the ranks are out of step from here on.
        call(*engine, stream);
        progress->bytes += bytes;
        progress->nanoseconds += now() - began;
        ++progress->ended;
      });
}

void Communicator::all_reduce(const TensorView& t, Reduction reduction) {
  constexpr auto kOp = "allReduce";
  check(kOp, "t", t);
  require_reducible(kOp, "t", t);
  submit(kOp, t.bytes(), [=](Engine& engine, Stream& stream) {
    engine.all_reduce(t.pointer, t.numel(), t.dtype, reduction, stream);
  });
}

void Communicator::reduce_scatter(const TensorView& input, const TensorView& output) {
  constexpr auto kOp = "reduceScatter";
  check(kOp, "input", input);
  check(kOp, "output", output);
  require_reducible(kOp, "input", input);
  require_dtype(kOp, "output", output, input.dtype);
  require_parts(kOp, "input", input, output, size());
  const char* own = input.data<char>() + rank() * output.bytes();
  if (overlap(input, output) && output.pointer != own)
    refuse("ERR_SHAPE", kOp, "output", "memory of its own or input's part of this rank",
           "another part of input");
  submit(kOp, input.bytes(), [=](Engine& engine, Stream& stream) {
    engine.reduce_scatter(input.pointer, output.pointer, output.numel(), output.dtype, stream);
  });
}

void Communicator::all_gather(const TensorView& input, const TensorView& output) {
  constexpr auto kOp = "allGather";
  check(kOp, "input", input);
  check(kOp, "output", output);
  require_dtype(kOp, "output", output, input.dtype);
  require_parts(kOp, "output", output, input, size());
  const char* own = output.data<char>() + rank() * input.bytes();
  if (overlap(input, output) && input.pointer != own)
    refuse("ERR_SHAPE", kOp, "input", "memory of its own or output's part of this rank",
           "another part of output");
  submit(kOp, output.bytes(), [=](Engine& engine, Stream& stream) {
    engine.all_gather(input.pointer, output.pointer, input.numel(), input.dtype, stream);
  });
}

void Communicator::broadcast(const TensorView& t, int64_t root) {
  constexpr auto kOp = "broadcast";
  check(kOp, "t", t);
  require_range(kOp, "root", root >= 0 && root < size(), "0 to " + std::to_string(size() - 1),
                std::to_string(root));
  submit(kOp, t.bytes(), [=](Engine& engine, Stream& stream) {
    engine.broadcast(t.pointer, static_cast<size_t>(t.bytes()), static_cast<int>(root), stream);
  });
}

void Communicator::barrier() {
  submit("barrier", 0, [](Engine& engine, Stream& stream) { engine.barrier(stream); });
}

}  // namespace srpo::comm
