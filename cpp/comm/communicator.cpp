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

/// The call, telling how far it is.
std::function<void(Stream&)> Communicator::work_of(Call call) {
  ++progress_->submitted;
  return [call = std::move(call), engine = engine_, progress = progress_](Stream& stream) {
    const int64_t began = now();
    progress->name = call.op;
    progress->started_at = began;
    ++progress->started;
    // What failed has not ended: the ranks are out of step from here on.
    call.run(*engine, stream);
    progress->bytes += call.bytes;
    progress->nanoseconds += now() - began;
    ++progress->ended;
  };
}

void Communicator::submit(Call call) {
  Stream& stream = stream_of(device_);
  const std::lock_guard lock(engine_->order);
  if (engine_->last) engine_->last->join();
  engine_->last.reset();
  const char* const op = call.op;
  stream.submit(op, [work = work_of(std::move(call)), &stream] { work(stream); });
}

std::shared_ptr<Aside> Communicator::submit_aside(Call call, std::vector<Tensor> held) {
  const std::lock_guard lock(engine_->order);
  const char* const op = call.op;
  return engine_->last = aside_of(stream_of(device_))
                             .submit_aside(op, work_of(std::move(call)),
                                           std::make_shared<std::vector<Tensor>>(std::move(held)));
}

void Communicator::all_reduce(const TensorView& t, Reduction reduction) {
  constexpr auto kOp = "allReduce";
  check(kOp, "t", t);
  require_reducible(kOp, "t", t);
  submit({kOp, t.bytes(), [=](Engine& engine, Stream& stream) {
            engine.all_reduce(t.pointer, t.numel(), t.dtype, reduction, stream);
          }});
}

Communicator::Call Communicator::reduce_scatter_of(const TensorView& input,
                                                   const TensorView& output) const {
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
  return {kOp, input.bytes(), [=](Engine& engine, Stream& stream) {
            engine.reduce_scatter(input.pointer, output.pointer, output.numel(), output.dtype,
                                  stream);
          }};
}

Communicator::Call Communicator::all_gather_of(const TensorView& input,
                                               const TensorView& output) const {
  constexpr auto kOp = "allGather";
  check(kOp, "input", input);
  check(kOp, "output", output);
  require_dtype(kOp, "output", output, input.dtype);
  require_parts(kOp, "output", output, input, size());
  const char* own = output.data<char>() + rank() * input.bytes();
  if (overlap(input, output) && input.pointer != own)
    refuse("ERR_SHAPE", kOp, "input", "memory of its own or output's part of this rank",
           "another part of output");
  return {kOp, output.bytes(), [=](Engine& engine, Stream& stream) {
            engine.all_gather(input.pointer, output.pointer, input.numel(), input.dtype, stream);
          }};
}

void Communicator::reduce_scatter(const TensorView& input, const TensorView& output) {
  submit(reduce_scatter_of(input, output));
}

void Communicator::all_gather(const TensorView& input, const TensorView& output) {
  submit(all_gather_of(input, output));
}

std::shared_ptr<Aside> Communicator::reduce_scatter_aside(const Tensor& input,
                                                          const Tensor& output) {
  return submit_aside(reduce_scatter_of(input, output), {input, output});
}

std::shared_ptr<Aside> Communicator::all_gather_aside(const Tensor& input, const Tensor& output) {
  return submit_aside(all_gather_of(input, output), {input, output});
}

void Communicator::broadcast(const TensorView& t, int64_t root) {
  constexpr auto kOp = "broadcast";
  check(kOp, "t", t);
  require_range(kOp, "root", root >= 0 && root < size(), "0 to " + std::to_string(size() - 1),
                std::to_string(root));
  submit({kOp, t.bytes(), [=](Engine& engine, Stream& stream) {
            engine.broadcast(t.pointer, static_cast<size_t>(t.bytes()), static_cast<int>(root),
                             stream);
          }});
}

void Communicator::barrier() {
  submit({"barrier", 0, [](Engine& engine, Stream& stream) { engine.barrier(stream); }});
}

}  // namespace srpo::comm
