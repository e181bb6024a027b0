#pragma once
#include <initializer_list>
#include <string>

#include "cpp/core/tensor_view.h"

namespace srpo {

/// The checks of cpp/ops. `op` is the op's name as JavaScript says it, `argument` the parameter's.
/// All throw Error with `<op>: <argument>: expected <what>, got <what>`.

[[noreturn]] void refuse(const char* code, const char* op, const char* argument,
                         const std::string& expected, const std::string& got);

/// ERR_SHAPE unless t has exactly these sizes; -1 takes any size.
void require_shape(const char* op, const char* argument, const TensorView& t,
                   std::initializer_list<int64_t> sizes);
/// ERR_SHAPE unless a and b have the same sizes.
void require_same_shape(const char* op, const char* argument, const TensorView& t,
                        const TensorView& like);
/// ERR_SHAPE unless t has this rank; `form` names the sizes, "[B, L, D]".
void require_rank(const char* op, const char* argument, const TensorView& t, int rank,
                  const char* form);
/// ERR_SHAPE if t has no element.
void require_not_empty(const char* op, const char* argument, const TensorView& t);
void require_dtype(const char* op, const char* argument, const TensorView& t, DType dtype);
/// ERR_DTYPE unless float32 or bfloat16.
void require_float(const char* op, const char* argument, const TensorView& t);
/// ERR_DEVICE unless t lies where `like` lies.
void require_same_device(const char* op, const char* argument, const TensorView& t,
                         const TensorView& like);
/// A statistic or a gradient buffer: float32 of these sizes, where `like` lies.
void require_float32(const char* op, const char* argument, const TensorView& t,
                     std::initializer_list<int64_t> sizes, const TensorView& like);
/// The same with the sizes of `like`.
void require_float32_like(const char* op, const char* argument, const TensorView& t,
                          const TensorView& like);
/// A gradient of `like`: its shape, dtype and device.
void require_gradient(const char* op, const char* argument, const TensorView& t,
                      const TensorView& like);
/// Same dtype and same device as `like`.
void require_like(const char* op, const char* argument, const TensorView& t,
                  const TensorView& like);
/// ERR_RANGE unless the condition holds.
void require_range(const char* op, const char* argument, bool condition,
                   const std::string& expected, const std::string& got);

}  // namespace srpo
