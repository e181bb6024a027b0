#pragma once
#include <napi.h>

#include <initializer_list>
#include <vector>

#include "cpp/core/tensor.h"

namespace srpo::binding {

/// A tensor as JavaScript holds it: an opaque, type-tagged value. It belongs to the innermost open
/// scope, if there is one; else to the garbage collector.
Napi::Value make_handle(Napi::Env env, const Tensor& tensor);
/// Throws TypeError if the value is no handle, ERR_DISPOSED if it was freed.
const Tensor& tensor_of(Napi::Value value, const char* op, const char* argument);
bool is_handle(Napi::Value value);

}  // namespace srpo::binding
