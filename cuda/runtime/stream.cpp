#include "cuda/runtime/stream.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <utility>

#include "cuda/runtime/check.h"

namespace srpo::cuda {
namespace {

/// The names that `into` has not yet; literals, so that their addresses tell them apart.
void join(std::vector<const char*>& into, const std::vector<const char*>& names) {
  for (const char* name : names)
    if (std::find(into.begin(), into.end(), name) == into.end()) into.push_back(name);
}

std::exception_ptr named(const char* op, const char* code, const std::string& message) {
  const std::string prefix = std::string(op) + ": ";
  const bool has_name = message.rfind(prefix, 0) == 0;
  return std::make_exception_ptr(Error(code, has_name ? message : prefix + message));
}

}  // namespace

cudaStream_t CudaStream::activate() {
  CUDA_CHECK(cudaSetDevice(device_.index));  // of this thread
  std::call_once(made_, [this] {
    cudaStream_t made;
    CUDA_CHECK(cudaStreamCreateWithFlags(&made, cudaStreamNonBlocking));
    stream_ = made;
    staging_.open();
  });
  return stream_;
}

cudaStream_t CudaStream::enqueue() {
  behind_kernel_ = false;
  return stream_;
}

void* CudaStream::native() {
  behind_kernel_ = false;
  return activate();
}

Stream::KernelPlace CudaStream::kernel_place() {
  const bool overlaps = behind_kernel_ && (!profiler_ || !profiler_->times_kernels());
  behind_kernel_ = true;
  return {activate(), overlaps};
}

std::exception_ptr CudaStream::lost() const {
  const std::lock_guard lock(mutex_);
  if (lost_.empty()) return nullptr;
  return std::make_exception_ptr(
      Error("ERR_CUDA", name_of(device_) + ": cannot be used any more in this process: " + lost_));
}

/// An error that stays: the card's context is lost with it. mutex_ is held.
std::exception_ptr CudaStream::fault(cudaError_t status) {
  if (lost_.empty()) {
    join(suspects_, aside_);
    std::string ops;
    for (const char* op : suspects_) ops += (ops.empty() ? "" : ", ") + std::string(op);
    lost_ =
        "a kernel failed: " + text_of(status) + "; it was of " +
        (suspects_.size() == 1 ? "" : "one of these ops: ") + ops +
        (suspects_.size() == 1 ? "" : "; CUDA_LAUNCH_BLOCKING=1 in the environment tells which");
  }
  return std::make_exception_ptr(
      Error("ERR_CUDA", name_of(device_) + ": cannot be used any more in this process: " + lost_));
}

std::exception_ptr CudaStream::try_work(const char* op, const std::function<void()>& work) {
  try {
    activate();
    work();
    return nullptr;
  } catch (const Error& error) {
    const cudaError_t status = stream_ == nullptr ? cudaSuccess : cudaStreamQuery(stream_);
    if (status == cudaSuccess || status == cudaErrorNotReady) {
      cudaGetLastError();
      return named(op, error.code().c_str(), error.what());
    }
    // Not of this op, unless launches wait for their kernels.
    const char* blocking = std::getenv("CUDA_LAUNCH_BLOCKING");
    const std::lock_guard lock(mutex_);
    if (blocking != nullptr && *blocking == '1') {
      suspects_ = {op};
    } else {
      for (const Ending& ending : endings_) join(suspects_, ending.ops);
      join(suspects_, ops_);
    }
    return fault(status);
  } catch (const std::bad_alloc&) {
    return named(op, "ERR_OUT_OF_MEMORY", "host memory is used up");
  } catch (const std::exception& error) {
    return named(op, "ERR_INTERNAL", error.what());
  }
}

void CudaStream::submit(const char* op, std::function<void()> work) {
  const std::lock_guard lock(submit_mutex_);
  if (inside_) return work();  // a part of a piece
  Account& account = accounts_[std::this_thread::get_id()];
  if (!account.failure) account.failure = lost();
  if (account.failure) return;  // skipped until the wait that reports it
  inside_ = true;
  op_ = op;
  join(ops_, {op});
  account.failure = try_work(op, [&] {
    const TimedWork timed(profiler_.get(), timeline_, op);
    work();
  });
  // What the piece used goes back at once: whoever gets it next stands behind it in the stream.
  for (const Pool::Block& block : scratch_) pool_->free(block);
  scratch_.clear();
  for (int64_t* word : words_) account.heeded.push_back({op, word, {}});
  words_.clear();
  inside_ = false;
}

struct CudaStream::Beside {
  const char* op;
  cudaEvent_t end = nullptr;  // until the stream stands behind it
  std::exception_ptr failure = nullptr;
  std::vector<Pool::Block> scratch;  // given back then
  std::shared_ptr<void> held;
};

class CudaStream::SideWork : public Aside {
 public:
  SideWork(CudaStream& stream, Beside piece) : stream_(stream), piece_(std::move(piece)) {}
  // Nobody waits for it: its memory goes back behind it all the same.
  ~SideWork() override { stream_.stand_behind(piece_, false); }
  void join() override { stream_.stand_behind(piece_, true); }

 private:
  CudaStream& stream_;
  Beside piece_;
};

std::shared_ptr<Aside> CudaStream::submit_aside(const char* op, std::function<void(Stream&)> work,
                                                std::shared_ptr<void> held) {
  const std::lock_guard lock(submit_mutex_);
  Beside piece{.op = op, .scratch = {}, .held = std::move(held)};
  Account& account = accounts_[std::this_thread::get_id()];
  if (!account.failure) account.failure = lost();
  if (account.failure) {
    piece.failure = account.failure;
    return std::make_shared<SideWork>(*this, std::move(piece));
  }
  cudaStream_t side = nullptr;
  inside_ = true;
  op_ = op;
  join(ops_, {op});
  account.failure = piece.failure = try_work(op, [&] {
    side = side_.activate();
    piece.end = take_event();
    side_.follow();
    behind_kernel_ = false;
    work(side_);
  });
  inside_ = false;
  if (piece.end != nullptr) {
    // What it launched before it failed runs all the same. A record fails where the card is lost.
    if (cudaEventRecord(piece.end, side) != cudaSuccess) cudaGetLastError();
    const std::lock_guard shared(mutex_);
    aside_.push_back(op);
  }
  piece.scratch.swap(scratch_);
  return std::make_shared<SideWork>(*this, std::move(piece));
}

void CudaStream::stand_behind(Beside& piece, bool tell) {
  const std::lock_guard lock(submit_mutex_);
  if (piece.end != nullptr) {
    join(ops_, {piece.op});
    const auto failure = try_work(piece.op, [&] {
      const TimedWork timed(tell ? profiler_.get() : nullptr, timeline_, "wait");
      CUDA_CHECK(cudaStreamWaitEvent(enqueue(), piece.end, 0));
    });
    if (!piece.failure) piece.failure = failure;
    const std::lock_guard shared(mutex_);
    events_.push_back(std::exchange(piece.end, nullptr));
    aside_.erase(std::find(aside_.begin(), aside_.end(), piece.op));
  }
  for (const Pool::Block& block : piece.scratch) pool_->free(block);
  piece.scratch.clear();
  piece.held.reset();
  if (!tell || !piece.failure) return;
  Account& account = accounts_[std::this_thread::get_id()];
  if (!account.failure) account.failure = piece.failure;
}

cudaEvent_t CudaStream::take_event() {
  {
    const std::lock_guard lock(mutex_);
    if (!events_.empty()) {
      const cudaEvent_t event = events_.back();
      events_.pop_back();
      return event;
    }
  }
  cudaEvent_t event = nullptr;
  CUDA_CHECK(cudaEventCreateWithFlags(&event, cudaEventDisableTiming | cudaEventBlockingSync));
  return event;
}

void CudaStream::after(std::function<void(std::exception_ptr)> then) {
  const cudaEvent_t event = take_event();
  CUDA_CHECK(cudaEventRecord(event, stream_));
  {
    const std::lock_guard lock(mutex_);
    if (!thread_.joinable()) {
      stopping_ = false;
      thread_ = std::thread([this] { run(); });
    }
    endings_.push_back({event, std::move(ops_), std::move(then)});
    ops_.clear();
  }
  ready_.notify_one();
}

void CudaStream::run() {
  cudaSetDevice(device_.index);
  std::unique_lock lock(mutex_);
  while (true) {
    ready_.wait(lock, [this] { return stopping_ || !endings_.empty(); });
    if (endings_.empty()) return;
    Ending ending = std::move(endings_.front());
    endings_.pop_front();
    ending_ = true;
    lock.unlock();
    const cudaError_t status = cudaEventSynchronize(ending.event);
    lock.lock();
    join(suspects_, ending.ops);
    std::exception_ptr failure;
    if (status == cudaSuccess)
      suspects_.clear();
    else
      failure = fault(status);
    events_.push_back(ending.event);
    lock.unlock();
    ending.then(failure);
    ending = {};
    lock.lock();
    ending_ = false;
    ended_.notify_all();
  }
}

void CudaStream::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  ready_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void CudaStream::when_done(std::function<void(std::exception_ptr)> done) {
  const std::lock_guard lock(submit_mutex_);
  const auto account = std::make_shared<Account>();
  std::swap(*account, accounts_[std::this_thread::get_id()]);
  accounts_.erase(std::this_thread::get_id());
  // Shared: an ending that could not be enqueued must still be told.
  const auto tell = std::make_shared<std::function<void(std::exception_ptr)>>(std::move(done));
  const auto failure = try_work("wait", [&] {
    after([this, account, tell](std::exception_ptr fault) {
      const std::exception_ptr complaint = complaints_.settle(account->heeded);
      (*tell)(fault ? fault : complaint ? complaint : account->failure);
    });
  });
  if (failure) (*tell)(account->failure ? account->failure : failure);
}

void CudaStream::leave() {
  if (stream_ == nullptr) return;
  // An error stays with the card: the next wait reports it.
  if (cudaSetDevice(device_.index) == cudaSuccess) {
    cudaStreamSynchronize(stream_);
    side_.drain();
  }
  {
    const std::lock_guard lock(submit_mutex_);
    const auto found = accounts_.find(std::this_thread::get_id());
    if (found != accounts_.end()) {
      complaints_.settle(found->second.heeded);
      accounts_.erase(found);
    }
  }
  // Then the thread that waits may still copy to memory of the environment that ends.
  std::unique_lock lock(mutex_);
  ended_.wait(lock, [this] { return stopping_ || (endings_.empty() && !ending_); });
}

void CudaStream::copy_from_host(void* device, const void* host, size_t bytes) {
  if (bytes > 0) submit("copy", [=, this] { staging_.upload(device, host, bytes, enqueue()); });
}

void CudaStream::copy_to_host(void* host, const void* device, size_t bytes) {
  if (bytes == 0) return;
  submit("copy", [=, this] {
    for (size_t at = 0; at < bytes; at += Staging::kSegment) {
      const size_t part = std::min(bytes - at, Staging::kSegment);
      Staging::Segment* segment = staging_.take();
      char* to = static_cast<char*>(host) + at;
      try {
        CUDA_CHECK(cudaMemcpyAsync(segment->memory, static_cast<const char*>(device) + at, part,
                                   cudaMemcpyDeviceToHost, enqueue()));
      } catch (...) {
        staging_.give(segment);
        throw;
      }
      // If nobody can wait for the copy, it may still write there: the segment stays taken.
      after([=, this](std::exception_ptr fault) {
        if (!fault) std::memcpy(to, segment->memory, part);
        staging_.give(segment);
      });
    }
  });
}

void CudaStream::copy(void* to, const void* from, size_t bytes) {
  if (bytes == 0) return;
  submit("copy", [=, this] {
    CUDA_CHECK(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice, enqueue()));
  });
}

void CudaStream::zero(void* device, size_t bytes) {
  if (bytes == 0) return;
  submit("zero", [=, this] { CUDA_CHECK(cudaMemsetAsync(device, 0, bytes, enqueue())); });
}

void* CudaStream::scratch(size_t bytes, const void* contents) {
  Pool::Block block;
  try {
    block = pool_->allocate(bytes, op_);
  } catch (const Error& error) {
    if (error.code() != "ERR_OUT_OF_MEMORY" || pool_->stats().cached == 0) throw;
    pool_->trim()->release();  // behind what uses it, in the stream's order
    block = pool_->allocate(bytes, op_);
  }
  scratch_.push_back(block);
  if (contents != nullptr) staging_.upload(block.pointer, contents, bytes, enqueue());
  return block.pointer;
}

void CudaStream::profile_begin(const std::string& timer) {
  const std::lock_guard lock(submit_mutex_);
  require_no_profile();
  profiler_ = std::make_unique<Profiler>(timer, activate(), name_of(device_));
  timeline_.start();
}

Profile CudaStream::profile_end() {
  const std::lock_guard lock(submit_mutex_);
  if (!profiler_) return {};
  activate();
  Profile taken = profiler_->take(timeline_);
  profiler_.reset();
  return taken;
}

int64_t* CudaStream::complaint() {
  words_.push_back(complaints_.take());
  return words_.back();
}

void CudaStream::heed(int64_t* word, std::function<void(int64_t)> refuse) {
  std::erase(words_, word);
  accounts_[std::this_thread::get_id()].heeded.push_back({op_, word, std::move(refuse)});
}

}  // namespace srpo::cuda
