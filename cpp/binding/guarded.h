#pragma once
#include <napi.h>

#include <new>

#include "cpp/core/error.h"

namespace srpo::binding {

/// The JavaScript error for a code: TypeError for ERR_TYPE, RangeError for ERR_RANGE, else an
/// SrpoError (an Error until `setErrorClass` was called).
Napi::Error js_error(Napi::Env env, const std::string& code, const std::string& message);
/// The same for whatever a stream's wait reports.
Napi::Error js_error(Napi::Env env, const std::exception_ptr& failure);

/// The one door where a C++ exception becomes a JavaScript error.
template <Napi::Value (*fn)(const Napi::CallbackInfo&)>
Napi::Value guarded(const Napi::CallbackInfo& info) {
  try {
    return fn(info);
  } catch (const Napi::Error&) {
    throw;
  } catch (...) {
    throw js_error(info.Env(), std::current_exception());
  }
}

/// exports[name] = fn, guarded.
template <Napi::Value (*fn)(const Napi::CallbackInfo&)>
void define(Napi::Env env, Napi::Object exports, const char* name) {
  exports[name] = Napi::Function::New<guarded<fn>>(env, name);
}

}  // namespace srpo::binding
