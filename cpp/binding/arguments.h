#pragma once
#include <napi.h>

#include <initializer_list>
#include <string>
#include <vector>

#include "cpp/binding/handle.h"
#include "cpp/core/tensor.h"

namespace srpo::binding {

/// JavaScript's arguments by place, with the name they have in messages. Wrong types throw
/// TypeError, numbers out of range RangeError.
class Arguments {
 public:
  Arguments(const Napi::CallbackInfo& info, const char* op) : info_(info), op_(op) {
    set_memory_op(op);  // what it allocates from here on is for this op
  }

  /// The arguments of an op that lie in an array at `index`.
  Arguments nested(size_t index, const char* name) const;

  Tensor tensor(size_t index, const char* name) const;
  /// null or undefined gives an empty Tensor, whose view is "not given".
  Tensor optional_tensor(size_t index, const char* name) const;
  std::vector<Tensor> tensors(size_t index, const char* name) const;
  float number(size_t index, const char* name) const;
  double number64(size_t index, const char* name) const;
  int64_t integer(size_t index, const char* name) const;
  bool boolean(size_t index, const char* name) const;
  std::string text(size_t index, const char* name) const;
  std::vector<float> numbers(size_t index, const char* name) const;
  std::vector<int64_t> integers(size_t index, const char* name) const;
  /// "float32", ... as TypeScript's DType says it.
  DType dtype(size_t index, const char* name) const;
  /// "cpu", "emulated", "cuda:0".
  Device device(size_t index, const char* name) const;
  /// A 64-bit integer as JavaScript's bigint.
  uint64_t bits64(size_t index, const char* name) const;
  /// The bytes of an ArrayBuffer or of a view on one.
  std::pair<void*, size_t> bytes(size_t index, const char* name) const;

  Napi::Env env() const { return info_.Env(); }
  const char* op() const { return op_; }
  Napi::Value raw(size_t index) const {
    return array_.IsEmpty() ? info_[index] : array_.Get(static_cast<uint32_t>(index));
  }

  Napi::Value handle(const Tensor& tensor) const { return make_handle(info_.Env(), tensor); }
  /// An array of handles; an empty tensor becomes null.
  Napi::Value handles(std::initializer_list<Tensor> tensors) const;
  Napi::Value handles(const std::vector<Tensor>& tensors) const;

 private:
  [[noreturn]] void refuse_type(const char* name, const char* expected, Napi::Value got) const;

  const Napi::CallbackInfo& info_;
  const char* op_;
  Napi::Array array_;  // empty: the call's own
};

}  // namespace srpo::binding
