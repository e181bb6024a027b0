#include "cpp/core/tensor.h"

#include <algorithm>
#include <cstring>
#include <future>

namespace srpo {
namespace {

void set_shape(TensorView& view, const Shape& shape) {
  if (shape.size() > kMaxRank)
    throw Error("ERR_SHAPE", "tensor: shape: expected at most " + std::to_string(kMaxRank) +
                                 " sizes, got " + std::to_string(shape.size()));
  int64_t numel = 1;
  for (const int64_t size : shape) {
    if (size < 0 || __builtin_mul_overflow(numel, size, &numel) || numel > (int64_t{1} << 59))
      throw Error("ERR_SHAPE",
                  "tensor: shape: expected sizes of at least 0 and at most 2^59 "
                  "elements, got " +
                      shape_text(shape.data(), static_cast<int>(shape.size())));
  }
  view.rank = static_cast<int8_t>(shape.size());
  for (int i = 0; i < kMaxRank; ++i) view.dims[i] = i < view.rank ? shape[i] : 0;
}

/// A block of the device's pool. Where there is no more, what the pool keeps for reuse goes back to
/// the system first, for which the work that is enqueued has to end.
Pool::Block block_of(const Backend& backend, size_t bytes) {
  try {
    return backend.pool->allocate(bytes, memory_label());
  } catch (const Error& error) {
    if (error.code() != "ERR_OUT_OF_MEMORY" || backend.pool->stats().cached == 0) throw;
  }
  auto trimmed = std::make_shared<std::promise<void>>();
  auto done = trimmed->get_future();
  backend.stream->submit("trim", [trimmed, trim = backend.pool->trim()] {
    trim->release();
    trimmed->set_value();
  });
  // A piece that is skipped, since one before it failed, ends the wait too.
  trimmed.reset();
  done.wait();
  return backend.pool->allocate(bytes, memory_label());
}

// NaN as float32 and as bfloat16, and where a tensor has ended.
constexpr int kPoison = 0xff;
constexpr size_t kWatched = 64;

/// Fresh memory shows when it is read before it was written. The result turns true when that is done:
/// it is skipped with what follows a failed op.
std::shared_ptr<bool> poison(const Backend& backend, char* pointer, size_t bytes) {
  auto poisoned = std::make_shared<bool>(false);
  backend.stream->submit("tensor", [=] {
    std::memset(pointer, kPoison, bytes);
    *poisoned = true;
  });
  return poisoned;
}

/// Fails unless the bytes behind a tensor are as `poison` left them.
void watch(const Backend& backend, const char* pointer, size_t bytes,
           const std::shared_ptr<bool>& poisoned) {
  backend.stream->submit("tensor", [=] {
    for (size_t i = 0; *poisoned && i < kWatched; ++i)
      if (pointer[bytes + i] != static_cast<char>(kPoison))
        throw Error("ERR_KERNEL", "expected " + std::to_string(bytes) +
                                      " bytes to be written at most, got byte " +
                                      std::to_string(bytes + i) + " written too");
  });
}

}  // namespace

Storage::Storage(size_t bytes, Device device) : backend_(backend_of(device)), bytes_(bytes) {
  const size_t wanted = bytes + (backend_.poisons ? kWatched : 0);
  block_ = block_of(backend_, wanted);
  if (backend_.poisons) poisoned_ = poison(backend_, pointer(), wanted);
}

Storage::~Storage() {
  try {
    if (backend_.poisons) watch(backend_, pointer(), bytes_, poisoned_);
  } catch (const Error&) {
    // A full queue: this one goes unwatched.
  }
  backend_.pool->free(block_);
}

Tensor Tensor::empty(const Shape& shape, DType dtype, Device device) {
  Tensor t;
  set_shape(t.view_, shape);
  t.view_.dtype = dtype;
  t.view_.device = device;
  t.storage_ = std::make_shared<Storage>(static_cast<size_t>(t.view_.bytes()), device);
  t.view_.pointer = t.storage_->pointer();
  return t;
}

Tensor Tensor::zeros(const Shape& shape, DType dtype, Device device) {
  Tensor t = empty(shape, dtype, device);
  t.stream().zero(t.view_.pointer, static_cast<size_t>(t.view_.bytes()));
  return t;
}

Tensor Tensor::view(int64_t offset, const Shape& shape) const {
  Tensor t = *this;
  set_shape(t.view_, shape);
  if (offset < 0 || offset + t.view_.numel() > view_.numel())
    throw Error("ERR_SHAPE", "view: shape: expected at most " +
                                 std::to_string(view_.numel() - std::max<int64_t>(offset, 0)) +
                                 " elements from element " + std::to_string(offset) + " of " +
                                 shape_text(view_) + ", got " + shape_text(t.view_));
  t.view_.pointer = static_cast<char*>(view_.pointer) + offset * size_of(view_.dtype);
  return t;
}

}  // namespace srpo
