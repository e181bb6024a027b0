#include "cpp/core/check.h"

namespace srpo {

void refuse(const char* code, const char* op, const char* argument, const std::string& expected,
            const std::string& got) {
  throw Error(code, std::string(op) + ": " + argument + ": expected " + expected + ", got " + got);
}

namespace {

std::string wanted_text(std::initializer_list<int64_t> sizes) {
  std::string text = "[";
  for (const int64_t size : sizes) {
    if (text.size() > 1) text += ", ";
    text += size < 0 ? "any" : std::to_string(size);
  }
  return text + "]";
}

bool fits(const TensorView& t, std::initializer_list<int64_t> sizes) {
  if (t.rank != static_cast<int>(sizes.size())) return false;
  int i = 0;
  for (const int64_t size : sizes) {
    if (size >= 0 && t.dims[i] != size) return false;
    ++i;
  }
  return true;
}

}  // namespace

void require_shape(const char* op, const char* argument, const TensorView& t,
                   std::initializer_list<int64_t> sizes) {
  if (!fits(t, sizes)) refuse("ERR_SHAPE", op, argument, wanted_text(sizes), shape_text(t));
}

void require_same_shape(const char* op, const char* argument, const TensorView& t,
                        const TensorView& like) {
  bool same = t.rank == like.rank;
  for (int i = 0; same && i < t.rank; ++i) same = t.dims[i] == like.dims[i];
  if (!same) refuse("ERR_SHAPE", op, argument, shape_text(like), shape_text(t));
}

void require_rank(const char* op, const char* argument, const TensorView& t, int rank,
                  const char* form) {
  if (t.rank != rank) refuse("ERR_SHAPE", op, argument, form, shape_text(t));
}

void require_not_empty(const char* op, const char* argument, const TensorView& t) {
  if (t.numel() == 0) refuse("ERR_SHAPE", op, argument, "at least one element", shape_text(t));
}

void require_dtype(const char* op, const char* argument, const TensorView& t, DType dtype) {
  if (t.dtype != dtype) refuse("ERR_DTYPE", op, argument, name_of(dtype), name_of(t.dtype));
}

void require_float(const char* op, const char* argument, const TensorView& t) {
  if (t.dtype != DType::kFloat32 && t.dtype != DType::kBFloat16)
    refuse("ERR_DTYPE", op, argument, "float32 or bfloat16", name_of(t.dtype));
}

void require_same_device(const char* op, const char* argument, const TensorView& t,
                         const TensorView& like) {
  if (t.device != like.device)
    refuse("ERR_DEVICE", op, argument, name_of(like.device), name_of(t.device));
}

void require_like(const char* op, const char* argument, const TensorView& t,
                  const TensorView& like) {
  require_dtype(op, argument, t, like.dtype);
  require_same_device(op, argument, t, like);
}

void require_float32(const char* op, const char* argument, const TensorView& t,
                     std::initializer_list<int64_t> sizes, const TensorView& like) {
  require_shape(op, argument, t, sizes);
  require_dtype(op, argument, t, DType::kFloat32);
  require_same_device(op, argument, t, like);
}

void require_float32_like(const char* op, const char* argument, const TensorView& t,
                          const TensorView& like) {
  require_same_shape(op, argument, t, like);
  require_dtype(op, argument, t, DType::kFloat32);
  require_same_device(op, argument, t, like);
}

void require_gradient(const char* op, const char* argument, const TensorView& t,
                      const TensorView& like) {
  require_same_shape(op, argument, t, like);
  require_like(op, argument, t, like);
}

void require_range(const char* op, const char* argument, bool condition,
                   const std::string& expected, const std::string& got) {
  if (!condition) refuse("ERR_RANGE", op, argument, expected, got);
}

}  // namespace srpo
