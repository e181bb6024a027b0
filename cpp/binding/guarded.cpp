#include "cpp/binding/guarded.h"

namespace srpo::binding {

Napi::Error js_error(Napi::Env env, const std::string& code, const std::string& message) {
  const auto coded = [&](Napi::Error error) {
    error.Set("code", Napi::String::New(env, code));
    return error;
  };
  if (code == "ERR_TYPE") return coded(Napi::TypeError::New(env, message));
  if (code == "ERR_RANGE") return coded(Napi::RangeError::New(env, message));
  return coded(Napi::Error::New(env, message));
}

Napi::Error js_error(Napi::Env env, const std::exception_ptr& failure) {
  try {
    std::rethrow_exception(failure);
  } catch (const Error& e) {
    return js_error(env, e.code(), e.what());
  } catch (const std::bad_alloc&) {
    return js_error(env, "ERR_OUT_OF_MEMORY", "host memory is used up");
  } catch (const std::exception& e) {
    return js_error(env, "ERR_INTERNAL", e.what());
  } catch (...) {
    return js_error(env, "ERR_INTERNAL", "an error of no known kind");
  }
}

}  // namespace srpo::binding
