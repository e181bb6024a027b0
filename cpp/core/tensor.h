#pragma once
#include <memory>
#include <vector>

#include "cpp/core/runtime.h"
#include "cpp/core/tensor_view.h"

namespace srpo {

/// A block of device memory. Goes back to its pool with the last tensor that lies in it.
class Storage {
 public:
  Storage(size_t bytes, Device device);
  ~Storage();
  Storage(const Storage&) = delete;
  Storage& operator=(const Storage&) = delete;
  char* pointer() const { return static_cast<char*>(block_.pointer); }
  size_t bytes() const { return bytes_; }

 private:
  const Backend& backend_;
  Pool::Block block_;
  size_t bytes_;
  std::shared_ptr<bool> poisoned_;  // on a device that poisons, once that is done
};

using Shape = std::vector<int64_t>;

/// A dense, row-major tensor, or a dense part of one, that shares its storage.
class Tensor {
 public:
  Tensor() = default;
  /// Memory as it comes: an op that returns it writes all of it. Throws ERR_SHAPE for a negative
  /// size, a rank above kMaxRank or more than 2^62 bytes; ERR_OUT_OF_MEMORY.
  static Tensor empty(const Shape& shape, DType dtype, Device device);
  static Tensor like(const TensorView& t) { return empty(shape_of(t), t.dtype, t.device); }
  static Tensor like(const TensorView& t, DType dtype) {
    return empty(shape_of(t), dtype, t.device);
  }
  static Tensor zeros(const Shape& shape, DType dtype, Device device);

  /// The same memory from element `offset` on, under another shape.
  Tensor view(int64_t offset, const Shape& shape) const;

  operator const TensorView&() const { return view_; }
  const TensorView& operator*() const { return view_; }
  const TensorView* operator->() const { return &view_; }
  explicit operator bool() const { return storage_ != nullptr; }
  Device device() const { return view_.device; }
  Stream& stream() const { return stream_of(view_.device); }
  const std::shared_ptr<Storage>& storage() const { return storage_; }
  static Shape shape_of(const TensorView& t) { return Shape(t.dims, t.dims + t.rank); }

 private:
  std::shared_ptr<Storage> storage_;
  TensorView view_;
};

}  // namespace srpo
